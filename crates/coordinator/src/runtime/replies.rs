//! Who waits for which reply.

use std::collections::HashMap;

use tercet_engine::{Reply, ReplyTo};
use tokio::sync::oneshot;

/// Everybody who waits for a reply, by the number the engine knows them by.
#[derive(Debug, Default)]
pub(super) struct Replies {
    last: u64,
    requests: HashMap<ReplyTo, oneshot::Sender<Reply>>,
    syncing: HashMap<ReplyTo, oneshot::Sender<()>>,
}

impl Replies {
    /// A request came with its number.
    pub(super) fn expect(&mut self, reply_to: ReplyTo, reply: oneshot::Sender<Reply>) {
        self.requests.insert(reply_to, reply);
    }

    /// Those who only wait for the journal are numbered here; the engine keeps them apart.
    pub(super) fn expect_synced(&mut self, done: oneshot::Sender<()>) -> ReplyTo {
        self.last += 1;
        let reply_to = ReplyTo(self.last);
        self.syncing.insert(reply_to, done);
        reply_to
    }

    /// Whether a request of this number waits for its answer.
    pub(super) fn is_expected(&self, reply_to: ReplyTo) -> bool {
        self.requests.contains_key(&reply_to)
    }

    /// Sends a reply. Who has hung up meanwhile does not get it.
    pub(super) fn send(&mut self, reply_to: ReplyTo, reply: Reply) {
        if let Some(sender) = self.requests.remove(&reply_to) {
            let _hung_up = sender.send(reply);
        }
    }

    pub(super) fn synced(&mut self, reply_to: ReplyTo) {
        if let Some(sender) = self.syncing.remove(&reply_to) {
            let _hung_up = sender.send(());
        }
    }

    /// Dropping the sender tells who waits that nothing will come.
    pub(super) fn unsynced(&mut self, reply_to: ReplyTo) {
        self.syncing.remove(&reply_to);
    }
}
