//! The live transactions, what they take, and those of them that are finished and leave once
//! that is durable.

use std::collections::{BTreeMap, BTreeSet};

use tercet_wire::{Gid, Seq};

use crate::engine::live_transaction::LiveTransaction;
use crate::invariants::Broken;
use crate::transaction::Transaction;

/// All live transactions, by gid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Live {
    // In boxes: half of the room in the map's nodes is empty.
    transactions: BTreeMap<Gid, Box<LiveTransaction>>,
    totals: Totals,
}

/// What is known of them together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Totals {
    /// Bytes of memory that they take.
    bytes: usize,
    /// Those of them that are sagas. They may try for weeks, and stay here meanwhile.
    sagas: Sagas,
    /// Finished ones, by the record that must be durable before they leave.
    leaving: BTreeSet<(Seq, Gid)>,
}

/// How many there are, and the bytes of memory that they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Sagas {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// How `Live` counts one transaction. The transaction carries it, and only `Live` changes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    bytes: usize,
    /// With this many branches.
    branches: usize,
    /// With this many bytes of what was said of them.
    words: usize,
    /// It leaves once this record is durable.
    leaves_after: Option<Seq>,
}

impl Tally {
    fn of(transaction: &Transaction) -> Self {
        let (branches, words) = (transaction.branches().len(), transaction.words_bytes());
        Self { bytes: transaction.bytes(), branches, words, leaves_after: None }
    }

    /// Bytes of memory that the transaction takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it was begun with has changed: its bytes are counted anew when it is looked at next.
    pub(super) fn is_to_be_counted(&mut self) {
        self.branches = usize::MAX;
    }
}

impl Live {
    pub(super) fn contains(&self, gid: &Gid) -> bool {
        self.transactions.contains_key(gid)
    }

    pub(super) fn get(&self, gid: &Gid) -> Option<&LiveTransaction> {
        self.transactions.get(gid).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, gid: &Gid) -> Option<&mut LiveTransaction> {
        self.transactions.get_mut(gid).map(Box::as_mut)
    }

    /// One of them, and what is known of all.
    pub(super) fn entry(&mut self, gid: &Gid) -> Option<(&mut LiveTransaction, &mut Totals)> {
        Some((self.transactions.get_mut(gid)?, &mut self.totals))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Gid, &LiveTransaction)> {
        self.transactions.iter().map(|(gid, live_transaction)| (gid, live_transaction.as_ref()))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Gid, &mut LiveTransaction)> {
        self.transactions.iter_mut().map(|(gid, live_transaction)| (gid, live_transaction.as_mut()))
    }

    pub(super) fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Bytes of memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.totals.bytes
    }

    pub(super) fn sagas(&self) -> Sagas {
        self.totals.sagas
    }

    /// Takes one in whose gid is not here.
    pub(super) fn insert(&mut self, gid: Gid, mut live_transaction: LiveTransaction) {
        self.totals.comes(&mut live_transaction);
        let before = self.transactions.insert(gid, Box::new(live_transaction));
        debug_assert!(before.is_none(), "a live transaction is not taken in twice");
    }

    /// One leaves.
    pub(super) fn remove(&mut self, gid: &Gid) -> Option<LiveTransaction> {
        let live_transaction = self.transactions.remove(gid)?;
        self.totals.leaves(gid, &live_transaction);
        Some(*live_transaction)
    }

    /// One stays after all: its last record will not be durable.
    pub(super) fn stay(&mut self, gid: &Gid) {
        let live_transaction = self.transactions.get_mut(gid);
        if let Some(seq) = live_transaction.and_then(|it| it.tally.leaves_after.take()) {
            self.totals.leaving.remove(&(seq, gid.clone()));
        }
    }

    /// The next finished one whose last record is durable.
    pub(super) fn next_to_leave(&self, durable: Seq) -> Option<Gid> {
        let (needs, gid) = self.totals.leaving.first()?;
        if *needs > durable {
            return None;
        }
        Some(gid.clone())
    }

    /// Whether one is counted as it is.
    pub(super) fn agrees(
        &self,
        gid: &Gid,
        live_transaction: &LiveTransaction,
    ) -> Result<(), Broken> {
        let (transaction, tally) = (&live_transaction.transaction, &live_transaction.tally);
        let leaves = |seq: Seq| self.totals.leaving.contains(&(seq, gid.clone()));
        let why = if tally.branches != transaction.branches().len() {
            format!("{gid} is counted with {} branches", tally.branches)
        } else if tally.leaves_after.is_some_and(|seq| !leaves(seq)) {
            format!("{gid} is finished and would never leave")
        } else {
            return Ok(());
        };
        Err(Broken::IndexDisagrees { part: "live", why })
    }

    /// Whether the sums are those of all.
    pub(super) fn check(&self) -> Result<(), Broken> {
        let tallies = || self.transactions.values().map(|live_transaction| &live_transaction.tally);
        let bytes: usize = self.transactions.values().map(|it| it.transaction.bytes()).sum();
        let leaving = tallies().filter(|tally| tally.leaves_after.is_some()).count();
        let sagas = || self.transactions.values().filter(|it| it.transaction.has_order());
        let sagas =
            Sagas { count: sagas().count(), bytes: sagas().map(|it| it.transaction.bytes()).sum() };
        let totals = &self.totals;
        let why = if bytes != totals.bytes {
            format!("live transactions take {bytes} bytes, {} are counted", totals.bytes)
        } else if sagas != totals.sagas {
            format!("{sagas:?} are live, {:?} are counted", totals.sagas)
        } else if leaving != totals.leaving.len() {
            format!("{leaving} live transactions are finished, {} leave", totals.leaving.len())
        } else {
            return Ok(());
        };
        Err(Broken::IndexDisagrees { part: "live", why })
    }
}

impl Totals {
    fn comes(&mut self, live_transaction: &mut LiveTransaction) {
        live_transaction.tally = Tally::of(&live_transaction.transaction);
        self.bytes += live_transaction.tally.bytes;
        if live_transaction.transaction.has_order() {
            self.sagas.count += 1;
            self.sagas.bytes += live_transaction.tally.bytes;
        }
    }

    fn leaves(&mut self, gid: &Gid, live_transaction: &LiveTransaction) {
        self.bytes -= live_transaction.tally.bytes;
        if live_transaction.transaction.has_order() {
            self.sagas.count -= 1;
            self.sagas.bytes -= live_transaction.tally.bytes;
        }
        if let Some(seq) = live_transaction.tally.leaves_after {
            self.leaving.remove(&(seq, gid.clone()));
        }
    }

    /// Counts the bytes of one anew. Only a new branch changes those, one that is called
    /// elsewhere, and what is said of them.
    pub(super) fn recount(&mut self, live_transaction: &mut LiveTransaction) {
        let (transaction, tally) = (&live_transaction.transaction, &mut live_transaction.tally);
        let (branches, words) = (transaction.branches().len(), transaction.words_bytes());
        if (branches, words) != (tally.branches, tally.words) {
            let leaves_after = tally.leaves_after;
            let before = tally.bytes;
            *tally = Tally { leaves_after, ..Tally::of(transaction) };
            self.bytes = self.bytes - before + tally.bytes;
            if transaction.has_order() {
                self.sagas.bytes = self.sagas.bytes - before + tally.bytes;
            }
        }
    }

    /// One is finished: it leaves once this record is durable.
    pub(super) fn leaves_after(
        &mut self,
        gid: &Gid,
        live_transaction: &mut LiveTransaction,
        seq: Seq,
    ) {
        if let Some(before) = live_transaction.tally.leaves_after.replace(seq) {
            self.leaving.remove(&(before, gid.clone()));
        }
        self.leaving.insert((seq, gid.clone()));
    }
}
