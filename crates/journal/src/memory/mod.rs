//! Rows in memory, without IO: for tests, and for measuring everything but the disk.

mod audit;
mod holds;
mod jobs;
mod list;
mod sagas;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tercet_engine::{
    Batch, Chunk, HistoryEvent, HoldChange, JobRevision, Leave, LifeRow, Load, ParticipantPause,
    StoredTransaction, Tick, TransactionKey,
};
use tercet_wire::{
    ActId, AuditEntryView, AuditQuery, Gid, Incarnation, ListQuery, Page, SagaName, SummaryView,
    Wall,
};
use tokio::sync::watch;

use self::state::State;
use crate::error::JournalError;
use crate::store::{
    AuditDue, Claim, Cluster, Commit, CommitError, JobsDue, JobsKept, Keyset, Life, Purge,
    PurgeBatch, PurgeLimits, Read, Store,
};
use crate::stored_job::{JobCounts, StoredJob};
use crate::stored_saga::{ListedSaga, StoredSaga};
use crate::summary::JournalSummary;
use crate::unreadable::Unreadable;

/// Rows in memory: what a database file is to the journal on a database. They outlive the
/// journals opened on them. To lose what was appended and not committed, as a crash would,
/// close the journal with no time given.
#[derive(Debug, Clone)]
pub struct MemoryRows {
    state: Arc<Mutex<State>>,
    stalled: Arc<watch::Sender<bool>>,
}

impl Default for MemoryRows {
    fn default() -> Self {
        let stalled = Arc::new(watch::Sender::new(false));
        Self { state: Arc::default(), stalled }
    }
}

impl MemoryRows {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No rows, and never any of finished transactions: they are forgotten as they finish, so
    /// that what a benchmark leaves behind is bounded by what is live.
    #[must_use]
    pub fn of_live_transactions_alone() -> Self {
        let rows = Self::default();
        lock(&rows.state).forget_as_they_finish();
        rows
    }

    /// No rows, for several nodes at once: a life that is opened on them leaves the others alone.
    #[must_use]
    pub fn of_several_nodes() -> Self {
        let rows = Self::default();
        lock(&rows.state).share();
        rows
    }

    /// From now on submissions wait for [`MemoryRows::release`].
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// What waits goes on.
    pub fn release(&self) {
        self.stalled.send_replace(false);
    }

    /// Opens them for one life of a node: every earlier one is fenced, unless nodes share them.
    pub(super) async fn open(&self, life: &Life) -> Result<MemoryStore, JournalError> {
        let last_written = self.claim(life).await?;
        let shared = lock(&self.state).is_shared();
        let (rows, incarnation) = (self.clone(), life.incarnation);
        Ok(MemoryStore { rows, incarnation, last_written, shared })
    }
}

#[async_trait]
impl Claim for MemoryRows {
    /// Where one process has the rows every other incarnation is over.
    async fn claim(&self, life: &Life) -> Result<Option<Wall>, JournalError> {
        Ok(lock(&self.state).register(life))
    }
}

/// Nothing is bound here; batches are cut where a database's are, so that what is tested and
/// measured on memory is what a database is given.
const MAX_BINDS: usize = 26_000;

/// Nothing panics between two changes that belong together, so the value is whole even if a
/// thread that held it failed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one incarnation does with the rows.
pub(super) struct MemoryStore {
    rows: MemoryRows,
    incarnation: Incarnation,
    last_written: Option<Wall>,
    shared: bool,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.rows.state)
    }

    async fn until_not_stalled(&self) {
        let mut stalled = self.rows.stalled.subscribe();
        // The sender lives as long as the rows.
        let _ = stalled.wait_for(|stalled| !stalled).await;
    }
}

#[async_trait]
impl Commit for MemoryStore {
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError> {
        self.until_not_stalled().await;
        self.state().commit(self.incarnation, batch)
    }

    fn max_binds(&self) -> usize {
        MAX_BINDS
    }
}

#[async_trait]
impl Read for MemoryStore {
    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError> {
        let state = self.state();
        let load = |gid: &Gid| match state.stored(gid) {
            None => (gid.clone(), Load::Nothing),
            Some(stored) => (gid.clone(), Load::of(without_history(stored), self.incarnation)),
        };
        Ok(gids.iter().map(load).collect())
    }

    async fn look_at(&self, gid: &Gid) -> Result<Option<StoredTransaction>, JournalError> {
        Ok(self.state().stored(gid).map(without_history))
    }

    async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<StoredTransaction, Unreadable>>, JournalError> {
        let state = self.state();
        let page = state.owned_by(self.incarnation, after).take(as_count(limit));
        Ok(page.map(|stored| Ok(without_history(stored))).collect())
    }

    async fn sweep(&self, after: Option<&Gid>, limit: u32) -> Result<Vec<Gid>, JournalError> {
        let state = self.state();
        let decided = state.owned_by(self.incarnation, after).filter(|s| s.status.is_decided());
        Ok(decided.map(|stored| stored.spec.gid.clone()).take(as_count(limit)).collect())
    }

    async fn summary(&self, now: Wall) -> Result<JournalSummary, JournalError> {
        Ok(self.state().summary(now))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        Ok(list::page(&self.state(), query))
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntryView>, JournalError> {
        Ok(self.state().audit().page(query))
    }

    async fn saga(
        &self,
        name: &SagaName,
        version: Option<u32>,
    ) -> Result<Option<StoredSaga>, JournalError> {
        Ok(self.state().sagas().one(name, version))
    }

    async fn sagas(
        &self,
        after: Option<&SagaName>,
        limit: u32,
    ) -> Result<Vec<ListedSaga>, JournalError> {
        Ok(self.state().sagas().page(after, limit))
    }

    async fn pauses(&self) -> Result<Vec<ParticipantPause>, JournalError> {
        Ok(self.state().pauses())
    }

    async fn count_sagas(&self) -> Result<u64, JournalError> {
        Ok(self.state().sagas().count())
    }

    async fn job(&self, id: ActId) -> Result<Option<StoredJob>, JournalError> {
        Ok(self.state().jobs().one(id))
    }

    async fn jobs(
        &self,
        before: Option<ActId>,
        limit: u32,
    ) -> Result<Vec<StoredJob>, JournalError> {
        Ok(self.state().jobs().page(before, limit))
    }

    async fn unfinished_jobs(&self) -> Result<Vec<JobRevision>, JournalError> {
        Ok(self.state().jobs().unfinished())
    }

    async fn job_found_after(
        &self,
        id: ActId,
        revision: u32,
    ) -> Result<Option<JobRevision>, JournalError> {
        Ok(self.state().jobs().found_after(id, revision))
    }

    async fn job_counts(&self, id: ActId) -> Result<JobCounts, JournalError> {
        Ok(self.state().jobs().counts(id))
    }

    async fn job_came_to(&self, id: ActId, places: (u32, u32)) -> Result<Vec<u32>, JournalError> {
        Ok(self.state().jobs().come_to(id, places))
    }

    async fn job_failures(&self, id: ActId, limit: u32) -> Result<Vec<Tick>, JournalError> {
        Ok(self.state().jobs().failures(id, limit))
    }

    async fn hold(&self) -> Result<Option<HoldChange>, JournalError> {
        Ok(self.state().holds().newest())
    }

    async fn secret(&self) -> Result<Option<String>, JournalError> {
        Ok(self.state().secret())
    }

    async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<HistoryEvent>, JournalError> {
        let state = self.state();
        let history = state.stored(gid).map_or(&[][..], |stored| &stored.history);
        let wanted = history.iter().filter(|happening| happening.number > after);
        Ok(wanted.take(as_count(limit)).cloned().collect())
    }
}

#[async_trait]
impl Purge for MemoryStore {
    async fn count_finished(&self) -> Result<u64, JournalError> {
        Ok(self.state().count_finished())
    }

    async fn due_for_pruning(
        &self,
        after: Option<&Keyset>,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        Ok(self.state().due_for_pruning(after, finished_before, most))
    }

    async fn due_for_purging(
        &self,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        Ok(self.state().due_for_purging(finished_before, most))
    }

    async fn prune(&self, due: &PurgeBatch) -> Result<(), JournalError> {
        self.state().prune(due);
        Ok(())
    }

    async fn purge(&self, due: &PurgeBatch) -> Result<u64, JournalError> {
        Ok(self.state().purge(due))
    }

    async fn audit_due(&self, before: Wall, most: u32) -> Result<AuditDue, JournalError> {
        Ok(self.state().audit().due(before, most))
    }

    async fn purge_audit(&self, due: &AuditDue) -> Result<(), JournalError> {
        self.state().audit_mut().purge(due);
        Ok(())
    }

    async fn jobs_due(&self, kept: &JobsKept, most: u32) -> Result<JobsDue, JournalError> {
        Ok(self.state().jobs().due(kept, most))
    }

    async fn purge_jobs(&self, due: &JobsDue) -> Result<(), JournalError> {
        self.state().purge_jobs(due);
        Ok(())
    }
}

#[async_trait]
impl Cluster for MemoryStore {
    async fn take_over(&self, chunk: &Chunk) -> Result<Vec<Gid>, CommitError> {
        self.until_not_stalled().await;
        self.state().take_over(self.incarnation, chunk)
    }

    async fn leave(&self, leave: &Leave) -> Result<(), CommitError> {
        self.until_not_stalled().await;
        self.state().leave(self.incarnation, leave)
    }

    async fn lives(&self) -> Result<Vec<LifeRow>, JournalError> {
        Ok(self.state().lives())
    }

    async fn mark_fenced(&self, dead: Incarnation, seen: i64) -> Result<bool, JournalError> {
        Ok(self.state().mark_fenced(dead, seen))
    }

    async fn driven_by(
        &self,
        dead: Incarnation,
        undecided: bool,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Gid>, JournalError> {
        let state = self.state();
        let driven = state.driven_by(dead, after);
        let wanted = driven.filter(|stored| !undecided || !stored.status.is_decided());
        Ok(wanted.map(|stored| stored.spec.gid.clone()).take(as_count(limit)).collect())
    }

    async fn orphans(&self, after: Option<Incarnation>) -> Result<Vec<Incarnation>, JournalError> {
        Ok(self.state().orphans(after))
    }

    async fn urls(&self) -> Result<Vec<(Incarnation, String)>, JournalError> {
        Ok(self.state().urls())
    }

    async fn shared_secret(&self, fresh: &str) -> Result<String, JournalError> {
        Ok(self.state().shared_secret(fresh))
    }

    async fn remove(&self, dead: Incarnation) -> Result<bool, JournalError> {
        Ok(self.state().remove(dead))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn cluster(&self) -> Option<&dyn Cluster> {
        self.shared.then_some(self as &dyn Cluster)
    }

    fn last_written(&self) -> Option<Wall> {
        self.last_written
    }

    async fn close(&self) {}
}

/// As a load gives it: the lines of history counted, not told.
fn without_history(stored: &StoredTransaction) -> StoredTransaction {
    StoredTransaction { history: Vec::new(), ..stored.clone() }
}

fn as_count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
