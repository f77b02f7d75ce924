//! What is remembered of those that are paged out: until when their branches back off. Else
//! whoever returns from the journal would be called at once, and a participant that asks for a
//! minute's peace be called twice a second.

use std::collections::BTreeMap;

use tercet_wire::{Gid, Mono};

use crate::transaction::{BranchBackoff, Transaction};

/// So many are remembered. Where more are paged out it takes longer than any pause until the turn
/// of each comes: a page of a hundred has its turn twice a second, and a minute is the longest
/// pause.
const MOST: usize = 12_000;

/// The backoffs of those that are paged out, with the moment when the first of each ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Backoffs(BTreeMap<Gid, (Option<Mono>, Vec<BranchBackoff>)>);

impl Backoffs {
    /// A transaction leaves memory.
    pub(super) fn remember(&mut self, transaction: &Transaction) {
        let (first, backoffs) = transaction.backoffs();
        if !backoffs.is_empty() && self.0.len() < MOST {
            self.0.insert(transaction.gid().clone(), (first, backoffs));
        }
    }

    /// Whether it would only back off here as well.
    pub(super) fn are_on(&self, gid: &Gid, now: Mono) -> bool {
        self.0.get(gid).is_some_and(|(first, _)| first.is_some_and(|first| first > now))
    }

    /// A transaction is back.
    pub(super) fn take(&mut self, gid: &Gid) -> Vec<BranchBackoff> {
        self.0.remove(gid).map(|(_, backoffs)| backoffs).unwrap_or_default()
    }
}
