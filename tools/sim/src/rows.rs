//! What is durable. Their meaning is that of `StoredTransaction::apply`; who may write, that of the real
//! database's row of nodes: one incarnation, one batch after the other, each at most once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tercet_engine::{
    ApplyError, Batch, Change, Load, StoredTransaction, TransactionKey, Unreadable, begins,
};
use tercet_wire::{Gid, Wall};

/// One transaction's rows, before a batch and after it.
pub(crate) struct Changed {
    pub(crate) before: Option<StoredTransaction>,
    pub(crate) after: StoredTransaction,
}

/// What a batch changed, and the lives it left out since their gid belongs to another.
pub(crate) type Committed = (Vec<Changed>, Vec<TransactionKey>);

/// Why a batch is not written.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// Another life writes.
    Fenced,
    /// The database does not take a record of this batch: its data, not its rules.
    Rejected,
    /// A record does not fit the rows: a fault of ours.
    ApplyError(ApplyError),
}

/// What is durable.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The life that may write, and its last batch.
    live: (u64, i64),
    transactions: BTreeMap<Gid, StoredTransaction>,
    /// Transactions whose records are rejected.
    pub(crate) rejected: BTreeSet<Gid>,
    /// Transactions whose rows make no sense to a reader.
    unreadable: BTreeSet<Gid>,
}

impl Rows {
    /// A new life registers: every earlier one is fenced.
    pub(crate) fn register(&mut self, life: u64) {
        self.live = (life, 0);
    }

    pub(crate) fn get(&self, gid: &Gid) -> Option<&StoredTransaction> {
        self.transactions.get(gid)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &StoredTransaction> {
        self.transactions.values()
    }

    pub(crate) fn is_readable(&self, gid: &Gid) -> bool {
        !self.unreadable.contains(gid)
    }

    /// The rows of what is not finished are damaged, of some transactions.
    pub(crate) fn damage(&mut self, mut hits: impl FnMut() -> bool) {
        let unfinished = self.transactions.values().filter(|stored| !stored.status.is_finished());
        let hit = unfinished.filter(|_| hits()).map(|stored| stored.spec.gid.clone());
        self.unreadable.extend(hit.collect::<Vec<_>>());
    }

    /// Whatever was wrong with the rows is mended.
    pub(crate) fn mend(&mut self) {
        self.unreadable.clear();
        self.rejected.clear();
    }

    /// A page of what is not finished, by gid.
    pub(crate) fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: usize,
    ) -> Vec<Result<StoredTransaction, Unreadable>> {
        let read = self.unfinished_after(after).take(limit).map(|stored| {
            let gid = stored.spec.gid.clone();
            match self.is_readable(&gid) {
                true => Ok(without_history(stored)),
                false => Err(Unreadable { gid, why: "damaged".to_owned() }),
            }
        });
        read.collect()
    }

    /// A page of what is decided and not finished, by gid.
    pub(crate) fn decided_unfinished(&self, after: Option<&Gid>, limit: usize) -> Vec<Gid> {
        let decided = self.unfinished_after(after).filter(|stored| stored.status.is_decided());
        decided.take(limit).map(|stored| stored.spec.gid.clone()).collect()
    }

    /// What ended before a moment.
    pub(crate) fn finished_before(&self, moment: Wall) -> impl Iterator<Item = &StoredTransaction> {
        let is_past = move |at: &Wall| *at < moment;
        self.all().filter(move |stored| stored.finished_at.as_ref().is_some_and(is_past))
    }

    fn unfinished_after(&self, after: Option<&Gid>) -> impl Iterator<Item = &StoredTransaction> {
        let from = after.map_or(Bound::Unbounded, |gid| Bound::Excluded(gid.clone()));
        let later = self.transactions.range((from, Bound::Unbounded)).map(|(_, stored)| stored);
        later.filter(|stored| !stored.status.is_finished())
    }

    pub(crate) fn load(&self, gid: &Gid) -> Load {
        match self.transactions.get(gid) {
            None => Load::Nothing,
            Some(_) if !self.is_readable(gid) => Load::Unreadable { why: "damaged".to_owned() },
            Some(stored) => Load::Found(Box::new(without_history(stored))),
        }
    }

    /// Makes a batch durable. Returns what it changed, and the lives that it left out since
    /// their gid belongs to another.
    pub(crate) fn commit(&mut self, life: u64, batch: &Batch) -> Result<Committed, CommitError> {
        if self.live == (life, batch.number) {
            return Ok((Vec::new(), self.taken_from(batch)));
        }
        if self.live != (life, batch.number - 1) {
            return Err(CommitError::Fenced);
        }
        if batch.records.iter().any(|record| self.rejected.contains(&record.gid)) {
            return Err(CommitError::Rejected);
        }
        let mut changed: BTreeMap<Gid, StoredTransaction> = BTreeMap::new();
        let mut taken = Vec::new();
        for record in &batch.records {
            let key = TransactionKey::of(record);
            if taken.contains(&key) {
                continue;
            }
            let known = changed.get(&record.gid).or_else(|| self.transactions.get(&record.gid));
            match (&record.change, known) {
                (Change::Begun(spec), None) => {
                    begins(spec).map_err(CommitError::ApplyError)?;
                    changed.insert(key.gid, StoredTransaction::begun(spec.clone()));
                }
                (Change::Begun(_), Some(stored)) if stored.spec.instance != record.instance => {
                    taken.push(key);
                }
                (change, Some(stored)) if stored.spec.instance == record.instance => {
                    let mut stored = stored.clone();
                    stored.apply(change).map_err(CommitError::ApplyError)?;
                    changed.insert(key.gid, stored);
                }
                (_, Some(_) | None) => {
                    return Err(CommitError::ApplyError(ApplyError::Missing(record.gid.clone())));
                }
            }
        }
        self.live = (life, batch.number);
        let changed = changed.into_iter().map(|(gid, after)| {
            let before = self.transactions.insert(gid, after.clone());
            Changed { before, after }
        });
        Ok((changed.collect(), taken))
    }

    fn taken_from(&self, batch: &Batch) -> Vec<TransactionKey> {
        let begun = batch.records.iter().filter(|record| matches!(record.change, Change::Begun(_)));
        let other = begun.filter(|record| {
            let stored = self.transactions.get(&record.gid);
            stored.is_some_and(|stored| stored.spec.instance != record.instance)
        });
        other.map(TransactionKey::of).collect()
    }
}

/// As a load gives it: the lines of history counted, not told.
fn without_history(stored: &StoredTransaction) -> StoredTransaction {
    StoredTransaction { history: Vec::new(), ..stored.clone() }
}
