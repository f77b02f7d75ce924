//! Rows in memory, without IO: for tests, and for measuring everything but the disk.

mod list;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tercet_engine::{Batch, HistoryEvent, Load, StoredTransaction, TransactionKey};
use tercet_wire::{Gid, Incarnation, ListQuery, Page, SummaryView, Wall};
use tokio::sync::watch;

use self::state::State;
use crate::error::JournalError;
use crate::store::{
    Claim, Commit, CommitError, Keyset, Life, Purge, PurgeBatch, PurgeLimits, Read, Store,
};
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

    /// From now on submissions wait for [`MemoryRows::release`].
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// What waits goes on.
    pub fn release(&self) {
        self.stalled.send_replace(false);
    }

    /// Opens them for one life of a node: every earlier one is fenced.
    pub(super) async fn open(&self, life: &Life) -> Result<MemoryStore, JournalError> {
        let last_written = self.claim(life).await?;
        Ok(MemoryStore { rows: self.clone(), incarnation: life.incarnation, last_written })
    }
}

#[async_trait]
impl Claim for MemoryRows {
    /// One process has the rows, so every other incarnation is over.
    async fn claim(&self, life: &Life) -> Result<Option<Wall>, JournalError> {
        Ok(lock(&self.state).register(life.incarnation))
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
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.rows.state)
    }
}

#[async_trait]
impl Commit for MemoryStore {
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError> {
        let mut stalled = self.rows.stalled.subscribe();
        // The sender lives as long as the rows.
        let _ = stalled.wait_for(|stalled| !stalled).await;
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

    async fn summary(&self) -> Result<JournalSummary, JournalError> {
        Ok(self.state().summary())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        Ok(list::page(&self.state(), query))
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
}

#[async_trait]
impl Store for MemoryStore {
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
