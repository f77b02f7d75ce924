//! What is durable. Their meaning is that of `StoredTransaction::apply`; who may write, that of `Lives`:
//! each incarnation that is live, one batch after the other, each at most once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tercet_engine::{
    ApplyError, Batch, Change, Chunk, Judgement, LifeState, Lives, Load, StoredTransaction,
    Submitted, TransactionKey, Unreadable, begins, judge,
};
use tercet_wire::{Gid, Incarnation, Wall};

/// One transaction's rows, before a batch and after it.
pub(crate) struct Changed {
    pub(crate) before: Option<StoredTransaction>,
    pub(crate) after: StoredTransaction,
}

/// What became of a submission.
#[derive(Default)]
pub(crate) struct Committed {
    /// The rows it changed; none if it had happened before.
    pub(crate) changed: Vec<Changed>,
    /// The lives it left out since their gid belongs to another.
    pub(crate) taken: Vec<TransactionKey>,
    /// Of a chunk, what is the life's now.
    pub(crate) gids: Vec<Gid>,
    /// Whether it had happened before.
    pub(crate) happened: bool,
}

/// Why a batch is not written.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// Another life writes.
    Fenced,
    /// The look came from an older moment than the fence.
    Again,
    /// The database does not take a record of this batch: its data, not its rules.
    Rejected,
    /// A record does not fit the rows: a fault of ours.
    ApplyError(ApplyError),
}

/// What is durable.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The lives that may write, and their last batches.
    pub(crate) lives: Lives,
    transactions: BTreeMap<Gid, StoredTransaction>,
    /// Transactions whose records are rejected.
    pub(crate) rejected: BTreeSet<Gid>,
    /// Participants that operators have paused, by `host:port`.
    pub(crate) paused: BTreeSet<String>,
    /// Transactions whose rows make no sense to a reader.
    unreadable: BTreeSet<Gid>,
}

/// A life as the rows know it.
pub(crate) fn incarnation(life: u64) -> Incarnation {
    Incarnation(i64::try_from(life).unwrap_or(i64::MAX))
}

/// A life by what the rows say.
pub(crate) fn life_of(incarnation: Incarnation) -> u64 {
    u64::try_from(incarnation.0).unwrap_or_default()
}

impl Rows {
    /// A new life registers where there is one node: every earlier one is fenced, and what it
    /// drove is the new one's.
    pub(crate) fn register_alone(&mut self, life: u64) {
        self.lives.register_alone(incarnation(life), "alone");
        for stored in self.transactions.values_mut().filter(|stored| !stored.status.is_finished()) {
            stored.owner = Some(incarnation(life));
        }
    }

    /// A new life registers beside others.
    pub(crate) fn register(&mut self, life: u64, node: usize) {
        self.lives.register(incarnation(life), &format!("node-{node}"));
    }

    /// Unfinished transactions of a dead life, by gid.
    pub(crate) fn owned_by(
        &self,
        dead: Incarnation,
        undecided: bool,
        after: Option<&Gid>,
        limit: usize,
    ) -> Vec<Gid> {
        let owned = self.unfinished_after(after).filter(|stored| stored.owner == Some(dead));
        let wanted = owned.filter(|stored| !undecided || !stored.status.is_decided());
        wanted.take(limit).map(|stored| stored.spec.gid.clone()).collect()
    }

    /// The end of a dead life's row, if nothing points to it.
    pub(crate) fn remove(&mut self, dead: Incarnation) -> bool {
        let owns_any = self.all().any(|stored| stored.owner == Some(dead));
        self.lives.remove(dead, owns_any)
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
        life: u64,
        after: Option<&Gid>,
        limit: usize,
    ) -> Vec<Result<StoredTransaction, Unreadable>> {
        let own = self.unfinished_after(after).filter(|it| it.owner == Some(incarnation(life)));
        let read = own.take(limit).map(|stored| {
            let gid = stored.spec.gid.clone();
            match self.is_readable(&gid) {
                true => Ok(without_history(stored)),
                false => Err(Unreadable { gid, why: "damaged".to_owned() }),
            }
        });
        read.collect()
    }

    /// A page of what is decided and not finished, by gid.
    pub(crate) fn decided_unfinished(
        &self,
        life: u64,
        after: Option<&Gid>,
        limit: usize,
    ) -> Vec<Gid> {
        let own = self.unfinished_after(after).filter(|it| it.owner == Some(incarnation(life)));
        let decided = own.filter(|stored| stored.status.is_decided());
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

    pub(crate) fn load(&self, life: u64, gid: &Gid) -> Load {
        match self.transactions.get(gid) {
            None => Load::Nothing,
            Some(_) if !self.is_readable(gid) => Load::Unreadable { why: "damaged".to_owned() },
            Some(stored) => Load::of(without_history(stored), incarnation(life)),
        }
    }

    /// Makes a submission durable, or finds that it is. `stale`: should its life have to look at
    /// its row, it sees the row as it was one batch before.
    pub(crate) fn commit(
        &mut self,
        life: u64,
        submitted: &Submitted,
        stale: bool,
    ) -> Result<Committed, CommitError> {
        let (own, number) = (incarnation(life), submitted.number());
        let leaves = matches!(submitted, Submitted::Leave(_));
        let before = self.lives.clone();
        let moved = match leaves {
            true => self.lives.leave(own, number),
            false => self.lives.fence(own, number),
        };
        if !moved {
            let mut row = self.lives.get(own).cloned();
            if let Some(row) = row.as_mut().filter(|row| stale && row.batch_no == number) {
                (row.batch_no, row.state) = (number - 1, LifeState::Live);
            }
            return match judge(row.as_ref(), number, leaves) {
                Judgement::Written => Ok(self.as_written(own, submitted)),
                Judgement::Again => Err(CommitError::Again),
                Judgement::Fenced | Judgement::LostWrites => Err(CommitError::Fenced),
            };
        }
        let written = match submitted {
            Submitted::Batch(batch) => self.write(own, batch),
            Submitted::Chunk(chunk) => Ok(self.take_over(own, chunk)),
            Submitted::Leave(_) => Ok(Committed::default()),
        };
        if written.is_err() {
            self.lives = before;
        }
        written
    }

    fn write(&mut self, own: Incarnation, batch: &Batch) -> Result<Committed, CommitError> {
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
                    let stored = StoredTransaction::begun(spec.clone());
                    changed.insert(key.gid, StoredTransaction { owner: Some(own), ..stored });
                }
                (Change::Begun(_), Some(stored)) if stored.spec.instance != record.instance => {
                    taken.push(key);
                }
                (change, Some(stored)) if stored.spec.instance == record.instance => {
                    stored.is_driven_by(own).map_err(CommitError::ApplyError)?;
                    let mut stored = stored.clone();
                    stored.apply(change).map_err(CommitError::ApplyError)?;
                    changed.insert(key.gid, stored);
                }
                (_, Some(_) | None) => {
                    return Err(CommitError::ApplyError(ApplyError::Missing(record.gid.clone())));
                }
            }
        }
        let changed = changed.into_iter().map(|(gid, after)| {
            let before = self.transactions.insert(gid, after.clone());
            Changed { before, after }
        });
        Ok(Committed { changed: changed.collect(), taken, ..Committed::default() })
    }

    fn take_over(&mut self, own: Incarnation, chunk: &Chunk) -> Committed {
        for gid in &chunk.gids {
            let stored = self.transactions.get_mut(gid);
            if let Some(stored) = stored.filter(|stored| stored.owner == Some(chunk.dead)) {
                stored.owner = Some(own);
            }
        }
        Committed { gids: self.mine(own, &chunk.gids), ..Committed::default() }
    }

    fn mine(&self, own: Incarnation, gids: &[Gid]) -> Vec<Gid> {
        let is_mine = |gid: &&Gid| self.get(gid).is_some_and(|stored| stored.owner == Some(own));
        gids.iter().filter(is_mine).cloned().collect()
    }

    /// What a submission that had happened before is answered.
    fn as_written(&self, own: Incarnation, submitted: &Submitted) -> Committed {
        let (taken, gids) = match submitted {
            Submitted::Batch(batch) => (self.taken_from(batch), Vec::new()),
            Submitted::Chunk(chunk) => (Vec::new(), self.mine(own, &chunk.gids)),
            Submitted::Leave(_) => (Vec::new(), Vec::new()),
        };
        Committed { taken, gids, happened: true, ..Committed::default() }
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
