//! How the rest of the daemon asks the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tercet_engine::{Ask, Census, Refusal, Reply, ReplyTo, Until, WaitingFor};
use tercet_wire::Gid;
use tokio::sync::{mpsc, oneshot};

use crate::runtime::refusals::{Cause, Refusals};

/// A request on its way to the engine.
#[derive(Debug)]
pub struct Asked {
    /// The number by which the engine knows who asks.
    pub reply_to: ReplyTo,
    /// Which transaction.
    pub gid: Gid,
    /// What is asked.
    pub ask: Ask,
    /// What it waits for.
    pub until: Until,
    /// For how long.
    pub wait: Duration,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Reply>,
}

/// Somebody does not wait any more for what was asked.
#[derive(Debug)]
pub struct HungUp {
    /// About which transaction.
    pub gid: Gid,
    /// The number of who asked.
    pub reply_to: ReplyTo,
}

/// What is asked of the engine as a whole.
#[derive(Debug)]
pub enum Control {
    /// Tell when all that is written now is durable.
    Sync(oneshot::Sender<()>),
    /// Count the live transactions.
    Census(oneshot::Sender<Census>),
    /// What was held since the database was restored goes on.
    Release,
    /// Count who waits for these participants.
    WaitingFor(BTreeSet<String>, oneshot::Sender<Waits>),
    /// Call these participants no more, and all others; told once that holds.
    Pause(BTreeSet<String>, oneshot::Sender<()>),
}

/// Who waits for which participant: for those that were asked for, and maybe for others.
pub type Waits = Arc<BTreeMap<String, WaitingFor>>;

/// Asks the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RuntimeHandle {
    begins: mpsc::Sender<Asked>,
    requests: mpsc::Sender<Asked>,
    control: mpsc::Sender<Control>,
    /// One message at most for each request that waits, so it is bounded by these.
    hung_up: mpsc::UnboundedSender<HungUp>,
    /// The number of the last request of any handle.
    last: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
}

/// The other ends of a handle's lanes.
#[derive(Debug)]
pub struct Lanes {
    /// Begins; full means that begin is refused.
    pub begins: mpsc::Receiver<Asked>,
    /// Requests about known transactions.
    pub requests: mpsc::Receiver<Asked>,
    /// What is asked of the engine as a whole.
    pub control: mpsc::Receiver<Control>,
    /// Those who do not wait any more.
    pub hung_up: mpsc::UnboundedReceiver<HungUp>,
}

impl Lanes {
    /// Whether nothing waits in any of them.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        self.begins.is_empty() && self.requests.is_empty() && self.control.is_empty()
    }
}

/// A handle and the lanes it sends into, with room for this many messages each.
#[must_use]
pub fn lanes(begins: usize, requests: usize) -> (RuntimeHandle, Lanes) {
    let (begin_sender, begin_receiver) = mpsc::channel(begins.max(1));
    let (request_sender, request_receiver) = mpsc::channel(requests.max(1));
    let (control_sender, control_receiver) = mpsc::channel(requests.max(1));
    let (hung_up_sender, hung_up_receiver) = mpsc::unbounded_channel();
    let handle = RuntimeHandle {
        begins: begin_sender,
        requests: request_sender,
        control: control_sender,
        hung_up: hung_up_sender,
        last: Arc::default(),
        refusals: Arc::new(Refusals::register()),
    };
    let lanes = Lanes {
        begins: begin_receiver,
        requests: request_receiver,
        control: control_receiver,
        hung_up: hung_up_receiver,
    };
    (handle, lanes)
}

impl RuntimeHandle {
    /// Asks something of one transaction and waits for the answer. A begin that finds its
    /// lane full is refused at once; everything else waits for room. Whoever drops this before
    /// the answer came takes up no place among those who wait; what was asked is done all the same.
    pub async fn ask(&self, gid: Gid, ask: Ask, until: Until, wait: Duration) -> Reply {
        let begins = matches!(ask, Ask::Begin { .. });
        let (reply, answer) = oneshot::channel();
        // Only that each has another number matters.
        let reply_to = ReplyTo(self.last.fetch_add(1, Ordering::Relaxed));
        let waiting = Waiting { hung_up: &self.hung_up, gid: gid.clone(), reply_to, ended: false };
        let asked = Asked { reply_to, gid, ask, until, wait, reply };
        let sent = if begins {
            let limit = self.begins.max_capacity();
            match self.begins.try_send(asked) {
                Ok(()) => Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.refusals.count(Cause::BeginQueue);
                    Err(Refusal::TooManyTransactions { limit })
                }
                Err(mpsc::error::TrySendError::Closed(_)) => Err(Refusal::NotAccepted),
            }
        } else {
            self.requests.send(asked).await.map_err(|_| Refusal::NotAccepted)
        };
        let reply = match sent {
            // The sender is dropped only when the engine is: what became of the request is
            // unknown.
            Ok(()) => Ok(answer.await.unwrap_or(Reply::Refused(Refusal::JournalUnavailable))),
            Err(refusal) => Err(Reply::Refused(refusal)),
        };
        waiting.ended();
        let reply = match reply {
            Ok(reply) => reply,
            Err(not_sent) => return not_sent,
        };
        if let Reply::Refused(refusal) = &reply
            && let Some(cause) = Cause::of(refusal)
        {
            self.refusals.count(cause);
        }
        reply
    }

    /// Waits until everything the engine had written when this was asked is durable, so that
    /// what is then read from the database is not older than what was already told.
    ///
    /// # Errors
    /// The journal did not answer in time.
    pub async fn synced(&self) -> Result<(), Refusal> {
        let (done, synced) = oneshot::channel();
        let sent = self.control.send(Control::Sync(done)).await;
        sent.map_err(|_| Refusal::JournalUnavailable)?;
        synced.await.map_err(|_| Refusal::JournalUnavailable)
    }

    /// Counts the live transactions; nothing once the engine has stopped.
    pub async fn census(&self) -> Option<Census> {
        let (reply, census) = oneshot::channel();
        self.control.send(Control::Census(reply)).await.ok()?;
        census.await.ok()
    }

    /// What was held since the database was restored goes on, in an engine that has not stopped.
    pub async fn release(&self) {
        // One that has stopped holds nothing: the next reads that nothing is to be held.
        let _ = self.control.send(Control::Release).await;
    }

    /// Counts who waits for these participants; nothing once the engine has stopped.
    pub async fn waiting_for(&self, participants: BTreeSet<String>) -> Option<Waits> {
        let (reply, waits) = oneshot::channel();
        self.control.send(Control::WaitingFor(participants, reply)).await.ok()?;
        waits.await.ok()
    }

    /// From now on these participants are not called, by `host:port`, and all others are. Returns
    /// when that holds, or the engine has stopped.
    pub async fn pause(&self, participants: BTreeSet<String>) {
        let (reply, done) = oneshot::channel();
        if self.control.send(Control::Pause(participants, reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// Somebody waits for an answer; dropped before the answer came, it tells the engine.
struct Waiting<'a> {
    hung_up: &'a mpsc::UnboundedSender<HungUp>,
    gid: Gid,
    reply_to: ReplyTo,
    ended: bool,
}

impl Waiting<'_> {
    fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let hung_up = HungUp { gid: self.gid.clone(), reply_to: self.reply_to };
            // An engine that is gone has nobody waiting.
            let _ = self.hung_up.send(hung_up);
        }
    }
}
