//! A destination's queue and whoever comes back to it when it asks for that: one watcher at most,
//! set when there is something to watch and dismissed when there is not.

use tercet_wire::{Gid, Mono, Now};

use super::breaker::Permit;
use super::destination_queue::{
    Admission, Capacity, DestinationQueue, DestinationQueueSettings, Moved,
};
use super::health::Health;
use super::waiting_calls::Offered;

/// A queue and when its watcher will look.
#[derive(Debug, Clone)]
pub struct WatchedQueue<T> {
    queue: DestinationQueue<T>,
    /// When the watcher will look, if there is one.
    watched: Option<Mono>,
}

/// What a change means for the watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Watch {
    /// Somebody must be set to watch.
    Start,
    /// The watcher is to ask anew when to look: it is earlier than it meant to, or never.
    LookAgain,
    /// Nothing changes.
    AsItIs,
}

impl<T> WatchedQueue<T> {
    /// A queue without calls that nobody watches.
    #[must_use]
    pub fn new(settings: DestinationQueueSettings) -> Self {
        Self { queue: DestinationQueue::new(settings), watched: None }
    }

    /// The queue, to look at.
    #[must_use]
    pub fn queue(&self) -> &DestinationQueue<T> {
        &self.queue
    }

    /// As [`DestinationQueue::offer`].
    pub fn offer(&mut self, offered: Offered<T>, now: Now) -> (Admission<T>, Watch) {
        let admission = self.queue.offer(offered, now.mono, now.entropy);
        (admission, self.changed())
    }

    /// As [`DestinationQueue::ended`].
    pub fn ended(
        &mut self,
        permit: Permit,
        health: Health,
        gid: &Gid,
        now: Now,
    ) -> (Moved<T>, Watch) {
        let moved = self.queue.ended(permit, health, gid, now.mono, now.entropy);
        (moved, self.changed())
    }

    /// As [`DestinationQueue::notify_when_free`].
    pub fn notify_when_free(&mut self, now: Now) -> (Option<Capacity>, Watch) {
        let capacity = self.queue.notify_when_free(now.mono);
        (capacity, self.changed())
    }

    /// As [`DestinationQueue::retract`].
    pub fn retract(&mut self, is_it: impl Fn(&T) -> bool) -> (Option<Offered<T>>, Watch) {
        let retracted = self.queue.retract(is_it);
        (retracted, self.changed())
    }

    /// For the watcher: when to look next; `None` if it need not, and it is dismissed.
    pub fn watch_until(&mut self) -> Option<Mono> {
        self.watched = self.queue.next_wake();
        self.watched
    }

    /// For the watcher: it is time. It goes on watching by itself.
    pub fn wake(&mut self, now: Now) -> Moved<T> {
        self.queue.wake(now.mono, now.entropy)
    }

    fn changed(&mut self) -> Watch {
        match (self.watched, self.queue.next_wake()) {
            (None, None) => Watch::AsItIs,
            (None, Some(at)) => {
                self.watched = Some(at);
                Watch::Start
            }
            (Some(until), Some(at)) if at >= until => Watch::AsItIs,
            (Some(_), _) => Watch::LookAgain,
        }
    }
}
