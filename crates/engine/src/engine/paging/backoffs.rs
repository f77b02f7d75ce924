//! What is remembered of those that rest: until when their branches pause. Else whoever returns
//! from the journal would be called at once, and a participant that asks for a minute's peace be
//! called twice a second.

use std::collections::BTreeMap;

use tercet_wire::{Gid, Mono};

use crate::transaction::{Pause, Transaction};

/// So many are remembered. Where more rest it takes longer than any pause until the turn of each
/// comes: a page of a hundred has its turn twice a second, and a minute is the longest pause.
const MOST: usize = 12_000;

/// The pauses of those that rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Pauses(BTreeMap<Gid, (Option<Mono>, Vec<Pause>)>);

impl Pauses {
    /// A transaction leaves memory.
    pub(in crate::engine) fn remember(&mut self, transaction: &Transaction) {
        let (first, pauses) = transaction.pauses();
        if !pauses.is_empty() && self.0.len() < MOST {
            self.0.insert(transaction.gid().clone(), (first, pauses));
        }
    }

    /// Whether it would only pause here as well.
    pub(in crate::engine) fn are_on(&self, gid: &Gid, now: Mono) -> bool {
        self.0.get(gid).is_some_and(|(first, _)| first.is_some_and(|first| first > now))
    }

    /// A transaction is back.
    pub(in crate::engine) fn take(&mut self, gid: &Gid) -> Vec<Pause> {
        self.0.remove(gid).map(|(_, pauses)| pauses).unwrap_or_default()
    }
}
