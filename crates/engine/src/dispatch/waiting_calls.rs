//! The calls that wait for their turn at one destination: in the order they came, within
//! bounds in number and in bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_wire::{Gid, Mono, Op};

use crate::engine::output::Call;

/// A call that is offered, with what its owner wants back with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offered<T> {
    /// Whose call: failures are counted by transaction.
    pub gid: Gid,
    /// Its size, against the bound of the queue.
    pub bytes: usize,
    /// How long it may wait where nobody answers. `None`: without end.
    pub patience: Option<Duration>,
    /// The call itself.
    pub call: T,
}

impl<T> Offered<T> {
    /// A call as the queue sees it. A Try has a deadline to meet, so it does not wait longer
    /// than a call of it may take; the decision's calls wait for as long as it takes.
    pub fn of(call: Call, wrap: impl FnOnce(Call) -> T) -> Self {
        let patience = match call.ticket.op {
            // An initiator is asked without end.
            Op::Try if !call.ticket.asks => Some(call.branch.timeout),
            Op::Try | Op::Confirm | Op::Cancel => None,
        };
        let (gid, bytes) = (call.ticket.gid.clone(), call.branch.payload.len());
        Self { gid, bytes, patience, call: wrap(call) }
    }
}

/// Waiting calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Queue<T> {
    /// By the order they came in.
    waiting: BTreeMap<u64, Waiting<T>>,
    /// When patience ends, for those whose does.
    ends: BTreeSet<(Mono, u64)>,
    bytes: usize,
    next_number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Waiting<T> {
    offered: Offered<T>,
    since: Mono,
}

impl<T> Waiting<T> {
    fn ends_at(&self) -> Option<Mono> {
        self.offered.patience.map(|patience| self.since.after(patience))
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), ends: BTreeSet::new(), bytes: 0, next_number: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, offered: Offered<T>, now: Mono) {
        let number = self.next_number;
        self.next_number += 1;
        self.bytes += offered.bytes;
        let waiting = Waiting { offered, since: now };
        if let Some(at) = waiting.ends_at() {
            self.ends.insert((at, number));
        }
        self.waiting.insert(number, waiting);
    }

    /// The one that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Offered<T>> {
        let (number, _) = self.waiting.first_key_value()?;
        let number = *number;
        self.take(number).map(|waiting| waiting.offered)
    }

    /// One whose patience has ended, and how long it waited.
    pub(super) fn pop_ended(&mut self, now: Mono) -> Option<(Offered<T>, Duration)> {
        let (_, number) = *self.ends.first().filter(|(at, _)| *at <= now)?;
        let waiting = self.take(number)?;
        Some((waiting.offered, now.since(waiting.since)))
    }

    /// A certain one. It is looked for among all, since people ask for it, seldom.
    pub(super) fn retract(&mut self, is_it: impl Fn(&T) -> bool) -> Option<Offered<T>> {
        let found = self.waiting.iter().find(|(_, waiting)| is_it(&waiting.offered.call));
        let number = found.map(|(number, _)| *number)?;
        self.take(number).map(|waiting| waiting.offered)
    }

    /// When the next one's patience ends.
    pub(super) fn next_end(&self) -> Option<Mono> {
        self.ends.first().map(|(at, _)| *at)
    }

    fn take(&mut self, number: u64) -> Option<Waiting<T>> {
        let waiting = self.waiting.remove(&number)?;
        self.bytes -= waiting.offered.bytes;
        if let Some(at) = waiting.ends_at() {
            self.ends.remove(&(at, number));
        }
        Some(waiting)
    }
}
