//! One destination: so many calls under way at a time, and a bounded queue of those
//! that wait for their turn. A slow destination fills nothing but its own queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_protocol::{Answer, Call, Ticket};
use tokio::sync::mpsc::OwnedPermit;
use url::Url;

use super::settings::DispatcherSettings;
use crate::metrics::ParticipantMetrics;

/// A call that was taken in, with the place where its answer goes.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) call: Call,
    pub(super) url: Arc<Url>,
    pub(super) place: OwnedPermit<(Ticket, Answer)>,
}

impl Pending {
    fn bytes(&self) -> usize {
        self.call.branch.payload.len()
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is its turn: make it, then ask for the `next`.
    Now(Pending),
    /// It waits; whoever ends a call before it will make it.
    Queued,
    /// There is no room for it.
    Full(Pending),
}

/// One destination.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) metrics: Arc<ParticipantMetrics>,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    under_way: usize,
    waiting: VecDeque<Pending>,
    waiting_bytes: usize,
}

impl Destination {
    pub(super) fn new(metrics: Arc<ParticipantMetrics>) -> Self {
        Self { metrics, line: Mutex::default() }
    }

    /// Takes a call in, if there is room.
    pub(super) fn admit(&self, pending: Pending, settings: &DispatcherSettings) -> Admission {
        let mut line = self.line();
        // A concurrency of none would be a queue that never moves.
        if line.under_way < settings.concurrency.max(1) {
            line.under_way += 1;
            return Admission::Now(pending);
        }
        let bytes = line.waiting_bytes.saturating_add(pending.bytes());
        if line.waiting.len() >= settings.queue_entries || bytes > settings.queue_bytes {
            return Admission::Full(pending);
        }
        line.waiting_bytes = bytes;
        line.waiting.push_back(pending);
        self.metrics.queued();
        Admission::Queued
    }

    /// A call has ended: its turn passes to the one that waited longest, if any waits.
    pub(super) fn next(&self) -> Option<Pending> {
        let mut line = self.line();
        let next = line.waiting.pop_front();
        match &next {
            Some(pending) => {
                line.waiting_bytes -= pending.bytes();
                self.metrics.unqueued();
            }
            None => line.under_way -= 1,
        }
        next
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing done under this lock panics half-way, so a poisoned line is a whole one.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
