//! The way to one destination: its queue, and what is counted on it. A slow destination
//! fills nothing but its own queue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_engine::{
    Admission, BreakerState, Call, Capacity, Destination, DestinationQueueSettings, Health, Moved,
    Offered, ParticipantHealth, Permit, Ticket, Watch, WatchedQueue,
};
use tercet_wire::{AnswersView, Gid, Mono, Now};
use tokio::sync::Notify;
use url::Url;

use super::Place;
use super::breaker_turns::{BreakerTurn, BreakerTurns};
use crate::metrics::{CallResult, ParticipantMetrics};

/// A call that was taken in, with the place where its answer goes.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) call: Call,
    pub(super) url: Arc<Url>,
    pub(super) place: Place,
}

/// One destination.
#[derive(Debug)]
pub(super) struct DestinationHandle {
    pub(super) name: Destination,
    /// `host:port`.
    pub(super) participant: String,
    pub(super) metrics: Arc<ParticipantMetrics>,
    /// Where it is told when its breaker turns.
    pub(super) turns: BreakerTurns,
    watched_queue: Mutex<WatchedQueue<Pending>>,
    /// The watcher shall look again before it meant to.
    pub(super) look_again: Notify,
    /// How many calls came to each result.
    results: [AtomicU64; CallResult::ALL.len()],
}

impl DestinationHandle {
    pub(super) fn new(
        name: Destination,
        participant: String,
        metrics: Arc<ParticipantMetrics>,
        turns: BreakerTurns,
        settings: DestinationQueueSettings,
    ) -> Self {
        Self {
            name,
            participant,
            metrics,
            turns,
            watched_queue: Mutex::new(WatchedQueue::new(settings)),
            look_again: Notify::new(),
            results: Default::default(),
        }
    }

    pub(super) fn offer(&self, offered: Offered<Pending>, now: Now) -> (Admission<Pending>, Watch) {
        self.change(|queue| queue.offer(offered, now))
    }

    /// A call has ended, with what it says of the destination; `None` if it was not made.
    pub(super) fn ended(
        &self,
        permit: Permit,
        made: Option<(Health, CallResult)>,
        gid: &Gid,
        now: Now,
    ) -> (Moved<Pending>, Watch) {
        let mut health = Health::Unknown;
        if let Some((of_call, result)) = made {
            health = of_call;
            self.results[result as usize].fetch_add(1, Ordering::Relaxed);
        }
        self.change(|queue| queue.ended(permit, health, gid, now))
    }

    pub(super) fn notify_when_free(&self, now: Now) -> (Option<Capacity>, Watch) {
        self.change(|queue| queue.notify_when_free(now))
    }

    /// Forgets a call that waits for its turn, if it does.
    pub(super) fn retract(&self, is_it: impl Fn(&Call) -> bool) -> (bool, Watch) {
        let is_it = |pending: &Pending| is_it(&pending.call);
        let (retracted, watch) = self.change(|queue| queue.retract(is_it));
        (retracted.is_some(), watch)
    }

    /// Forgets all calls that wait for their turn.
    pub(super) fn retract_all(&self) -> (Vec<Ticket>, Watch) {
        let mut tickets = Vec::new();
        loop {
            let (retracted, watch) = self.change(|queue| queue.retract(|_| true));
            match retracted {
                Some(offered) => tickets.push(offered.call.call.ticket),
                None => return (tickets, watch),
            }
        }
    }

    /// For the watcher: when to look next; `None` if it need not, and it is dismissed.
    pub(super) fn watch_until(&self) -> Option<Mono> {
        self.lock().watch_until()
    }

    /// For the watcher: it is time. It goes on watching by itself.
    pub(super) fn wake(&self, now: Now) -> Moved<Pending> {
        self.counted(|queue| queue.wake(now))
    }

    /// Scheme, host and port: whatever the name has beyond them begins with a slash.
    pub(super) fn origin(&self) -> &str {
        let name = self.name.as_str();
        let after_scheme = name.find("://").map_or(0, |at| at + 3);
        let end = name[after_scheme..].find('/').map_or(name.len(), |at| after_scheme + at);
        &name[..end]
    }

    /// How it stands with this destination.
    pub(super) fn health(&self) -> ParticipantHealth {
        let of = |result: CallResult| self.results[result as usize].load(Ordering::Relaxed);
        let answers = AnswersView {
            done: of(CallResult::Done),
            refused: of(CallResult::Refused),
            in_progress: of(CallResult::InProgress),
            transient_error: of(CallResult::TransientError),
            permanent_error: of(CallResult::PermanentError),
            reservation_lost: of(CallResult::ReservationLost),
            unanswered: of(CallResult::Unanswered),
        };
        let failures = CallResult::ALL.into_iter().filter(|result| result.is_failure());
        let watched = self.lock();
        ParticipantHealth {
            participant: self.participant.clone(),
            in_flight: watched.queue().under_way(),
            waiting: watched.queue().waiting(),
            breaker: watched.queue().breaker(),
            open_since: watched.queue().open_since(),
            calls: CallResult::ALL.into_iter().map(of).sum(),
            failures: failures.map(of).sum(),
            answers,
        }
    }

    fn change<R>(
        &self,
        change: impl FnOnce(&mut WatchedQueue<Pending>) -> (R, Watch),
    ) -> (R, Watch) {
        let (result, watch) = self.counted(change);
        if watch == Watch::LookAgain {
            self.look_again.notify_one();
        }
        (result, watch)
    }

    /// Does something to the queue, and counts what waits in it then.
    fn counted<R>(&self, change: impl FnOnce(&mut WatchedQueue<Pending>) -> R) -> R {
        let mut watched = self.lock();
        let before = watched.queue().waiting();
        let result = change(&mut watched);
        self.metrics.waiting_changed(before, watched.queue().waiting());
        result
    }

    fn lock(&self) -> MutexGuard<'_, WatchedQueue<Pending>> {
        // Nothing done under this lock panics half-way, so a poisoned queue is a whole one.
        self.watched_queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DestinationHandle {
    fn drop(&mut self) {
        // Forgotten while it is open: it must not be counted for ever.
        if self.health().breaker != BreakerState::Closed {
            self.metrics.breaker_closed();
            self.turns.tell(&self.name, BreakerTurn::Forgotten);
        }
    }
}
