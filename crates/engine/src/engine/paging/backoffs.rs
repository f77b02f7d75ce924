//! What is remembered of those that are paged out: until when their branches back off. Else
//! whoever returns from the journal would be called at once, and a participant that asks for a
//! minute's peace be called twice a second. And which steps were told to be called for which there
//! was no room: else their history would say so each time they return.

use std::collections::BTreeMap;

use tercet_wire::{Gid, Mono, Op};

use crate::transaction::{BranchBackoff, Transaction};

/// So many are remembered. Where more are paged out it takes longer than any pause until the turn
/// of each comes: a page of a hundred has its turn twice a second, and a minute is the longest
/// pause.
const MOST: usize = 12_000;

/// The backoffs of those that are paged out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Backoffs(BTreeMap<Gid, Remembered>);

/// What is remembered of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Remembered {
    /// When the first of its backoffs ends.
    first: Option<Mono>,
    pub(in crate::engine) backoffs: Vec<BranchBackoff>,
    pub(in crate::engine) told: Vec<(usize, Op)>,
}

impl Backoffs {
    /// A transaction leaves memory.
    pub(super) fn remember(&mut self, transaction: &Transaction) {
        let (first, backoffs) = transaction.backoffs();
        let told = transaction.told_and_not_called();
        if (!backoffs.is_empty() || !told.is_empty()) && self.0.len() < MOST {
            self.0.insert(transaction.gid().clone(), Remembered { first, backoffs, told });
        }
    }

    /// Whether something of this one is remembered.
    pub(super) fn has(&self, gid: &Gid) -> bool {
        self.0.contains_key(gid)
    }

    /// Whether it would only back off here as well.
    pub(super) fn are_on(&self, gid: &Gid, now: Mono) -> bool {
        self.0.get(gid).is_some_and(|it| it.first.is_some_and(|first| first > now))
    }

    /// Of those that are decided none is anywhere; initiators that pause are asked in their time.
    pub(super) fn forget_decided(&mut self) {
        let is_initiators = |backoff: &BranchBackoff| backoff.position.is_none();
        self.0.retain(|_, remembered| remembered.backoffs.iter().any(is_initiators));
    }

    /// A transaction is back.
    pub(super) fn take(&mut self, gid: &Gid) -> Remembered {
        self.0.remove(gid).unwrap_or_default()
    }
}
