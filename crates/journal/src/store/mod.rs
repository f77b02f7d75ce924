//! The seam of the storage: what a kind of database must do to keep a journal's rows, split by
//! who asks it of the store. Whatever keeps rows passes the same conformance suite.
//!
//! ```text
//!   opening ──▶ Claim      the rows of the node's earlier lives become this life's
//!   writer  ──▶ Commit     a batch, exactly once
//!   reader, people ─▶ Read whole transactions, lists, history, counts
//!   retention ──▶ Purge    what is past its time
//! ```

mod cluster;
mod database;
mod purge;

use async_trait::async_trait;
use tercet_engine::{
    ApplyError, Batch, HistoryEvent, HoldChange, JobRevision, Load, ParticipantPause,
    StoredTransaction, Tick, TransactionKey,
};
use tercet_wire::{
    ActId, AuditEntryView, AuditQuery, Gid, Incarnation, ListQuery, Page, RowsUnder, SagaName,
    SummaryView, Wall,
};
use thiserror::Error;

pub(crate) use self::cluster::{Cluster, NOBODY};
pub(crate) use self::database::{Database, Filling, Offline};
pub(crate) use self::purge::{
    AuditDue, JobsDue, JobsKept, Keyset, Purge, PurgeBatch, PurgeLimits, first_within,
};
use crate::error::JournalError;
use crate::settings::JournalSettings;
use crate::stored_job::{JobCounts, StoredJob};
use crate::stored_saga::{ListedSaga, StoredSaga};
use crate::summary::JournalSummary;
use crate::unreadable::Unreadable;

/// Keeps the rows, for one life of a node.
#[async_trait]
pub(crate) trait Store: Commit + Read + Purge {
    /// When the node's earlier lives wrote last, as this one found it when it claimed their rows.
    fn last_written(&self) -> Option<Wall>;

    /// Whether what was written is still where the next start will look for it. Asked now and
    /// then while nothing is written.
    fn is_intact(&self) -> bool {
        true
    }

    /// What nodes do with each other's rows; none where one process has them to itself.
    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }

    /// Where the rows of what begins now are to stand.
    fn rows_under(&self) -> RowsUnder {
        RowsUnder::Instance
    }

    /// Lets go of files and connections. Nothing is asked of it afterwards.
    async fn close(&self);
}

/// Makes batches durable. They come from the one writer, one at a time.
#[async_trait]
pub(crate) trait Commit: Send + Sync + 'static {
    /// Makes a batch durable. Once this returns, each of its records is, but for those of the
    /// lives returned, whose gid belongs to another life. A batch that had happened
    /// already, in a submission whose outcome was not learned, is not done twice, and
    /// returns the same.
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError>;

    /// Most values that may be bound in one batch.
    fn max_binds(&self) -> usize;
}

/// Reads the rows, beside the writer.
#[async_trait]
pub(crate) trait Read: Send + Sync + 'static {
    /// Reads transactions, whoever owns them: from the first on, as many as may be in memory at
    /// once; of some, at least one. The gids differ.
    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError>;

    /// Reads one, whoever drives it. None where there is none, or its rows make no sense.
    async fn look_at(&self, gid: &Gid) -> Result<Option<StoredTransaction>, JournalError>;

    /// A page of this incarnation's unfinished transactions, by gid: at most `limit`, and no
    /// more than may be in memory at once. Empty only when there are no more.
    async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<StoredTransaction, Unreadable>>, JournalError>;

    /// Gids of this incarnation's decided and unfinished transactions, by gid, those after
    /// `after`. None only when there are no more.
    async fn sweep(&self, after: Option<&Gid>, limit: u32) -> Result<Vec<Gid>, JournalError>;

    /// How many transactions there are in which status, and whose.
    async fn summary(&self, now: Wall) -> Result<JournalSummary, JournalError>;

    /// A page of a list.
    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError>;

    /// A page of what operators did, newest first.
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntryView>, JournalError>;

    /// The definition of a saga: this version of it, or its newest; none if there is no such name.
    async fn saga(
        &self,
        name: &SagaName,
        version: Option<u32>,
    ) -> Result<Option<StoredSaga>, JournalError>;

    /// Names of definitions after this one, in their order, at most `limit`.
    async fn sagas(
        &self,
        after: Option<&SagaName>,
        limit: u32,
    ) -> Result<Vec<ListedSaga>, JournalError>;

    /// How many names of definitions there are, retired ones too.
    async fn count_sagas(&self) -> Result<u64, JournalError>;

    /// Participants that nobody calls, by name.
    async fn pauses(&self) -> Result<Vec<ParticipantPause>, JournalError>;
    /// A job, if there is one.
    async fn job(&self, id: ActId) -> Result<Option<StoredJob>, JournalError>;

    /// Jobs, those begun last first, before this one.
    async fn jobs(&self, before: Option<ActId>, limit: u32)
    -> Result<Vec<StoredJob>, JournalError>;

    /// What became last of each job that has not ended, by id.
    async fn unfinished_jobs(&self) -> Result<Vec<JobRevision>, JournalError>;

    /// The first revision after this one that found transactions.
    async fn job_found_after(
        &self,
        id: ActId,
        revision: u32,
    ) -> Result<Option<JobRevision>, JournalError>;

    /// To how many transactions a job has come.
    async fn job_counts(&self, id: ActId) -> Result<JobCounts, JournalError>;

    /// Which places it has come to, of those from one to another.
    async fn job_came_to(&self, id: ActId, places: (u32, u32)) -> Result<Vec<u32>, JournalError>;

    /// The first of those where it could not do what it does, by their places.
    async fn job_failures(&self, id: ActId, limit: u32) -> Result<Vec<Tick>, JournalError>;
    /// Whether something is held since the database was restored: the newest change of that.
    async fn hold(&self) -> Result<Option<HoldChange>, JournalError>;
    /// The secret that whoever uses these rows shares; none where none was kept.
    async fn secret(&self) -> Result<Option<String>, JournalError>;

    /// Lines of history with a number greater than `after`, oldest first.
    async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<HistoryEvent>, JournalError>;
}

/// Registers a life of a node and makes the unfinished rows of the lives that it follows its
/// own. Which lives those are is the store's to know: where one process uses the rows, all
/// others; where several nodes share them, those of the same node alone.
#[async_trait]
pub(crate) trait Claim {
    /// Returns when those lives wrote last, which the new one's row keeps until its own first
    /// batch. They may write nothing more, should one of them still run.
    async fn claim(&self, life: &Life) -> Result<Option<Wall>, JournalError>;
}

/// A life of a node, as it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) incarnation: Incarnation,
    pub(crate) node_id: String,
    pub(crate) node_url: String,
    /// By its own clock.
    pub(crate) started_at: Wall,
}

impl Life {
    pub(crate) fn of(settings: &JournalSettings, started_at: Wall) -> Self {
        Self {
            incarnation: settings.incarnation,
            node_id: settings.node_id.clone(),
            node_url: settings.node_url.clone(),
            started_at,
        }
    }
}

/// Why a batch is not durable, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CommitError {
    /// It failed, or nobody knows: submit the same batch again.
    #[error("{0}")]
    Again(String),
    /// Another transaction was in the way: submit the same batch again, at once.
    #[error("{0}")]
    Conflict(String),
    /// It did not happen and never will as it is: its data is at fault.
    #[error("{0}")]
    Rejected(String),
    /// Another incarnation has taken this one's place: nothing may be written any more.
    #[error("{0}")]
    Fenced(String),
}

impl From<ApplyError> for CommitError {
    fn from(error: ApplyError) -> Self {
        Self::Rejected(error.to_string())
    }
}

impl From<JournalError> for CommitError {
    fn from(error: JournalError) -> Self {
        match error {
            // The database's own words say more than ours about it.
            JournalError::Writing(error) => Self::Again(error.to_string()),
            JournalError::Server(error) => Self::Again(error.to_string()),
            JournalError::Unreachable { place, source } => {
                Self::Again(format!("{place}: {source}"))
            }
            other => Self::Again(other.to_string()),
        }
    }
}
