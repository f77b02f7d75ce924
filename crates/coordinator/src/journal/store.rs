//! What keeps the rows. Two do: a database, and memory for tests and for measuring without a
//! disk. Both pass the same conformance suite.

use async_trait::async_trait;
use tercet_protocol::wire::{ListQuery, Page, SummaryView};
use tercet_protocol::{Gid, Happening, Load, Misfit, Stored, Wall};
use thiserror::Error;

use super::batch::Batch;
use super::error::JournalError;
use super::life::Life;
use super::summary::JournalSummary;
use super::unreadable::Unreadable;

/// Keeps the rows. Batches come from the one writer, one at a time.
#[async_trait]
pub(super) trait Store: Send + Sync + 'static {
    /// Makes a batch durable. Once this returns, each of its records is, but for those of the
    /// lives returned, whose gid belongs to another life. A batch that had happened
    /// already, in a submission whose outcome was not learned, is not done twice, and
    /// returns the same.
    async fn commit(&self, batch: &Batch) -> Result<Vec<Life>, CommitError>;

    /// Reads transactions, whoever owns them. The gids differ.
    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError>;

    /// A page of this incarnation's unfinished transactions, by gid.
    async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<Stored, Unreadable>>, JournalError>;

    /// Gids of this incarnation's decided and unfinished transactions, by gid, those after
    /// `after`. None only when there are no more.
    async fn sweep(&self, after: Option<&Gid>, limit: u32) -> Result<Vec<Gid>, JournalError>;

    /// How many transactions there are in which status, and whose.
    async fn summary(&self) -> Result<JournalSummary, JournalError>;

    /// When the node's earlier lives wrote last, as this one found it when it opened.
    fn last_written(&self) -> Option<Wall>;

    /// A page of a list, newest first.
    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError>;

    /// Lines of history with a number greater than `after`, oldest first.
    async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<Happening>, JournalError>;

    /// How many finished transactions there are.
    async fn count_finished(&self) -> Result<u64, JournalError>;

    /// Deletes branches, outcomes and history of transactions that finished before a moment,
    /// at most `rows` rows of each, in the order in which the transactions were begun.
    async fn strip(
        &self,
        after: Option<&Place>,
        finished_before: Wall,
        rows: u32,
    ) -> Result<Stripped, JournalError>;

    /// Deletes all of at most `rows` transactions that finished before a moment; of the
    /// oldest by their begin. Their gids are free from then on.
    async fn forget(&self, finished_before: Wall, rows: u32) -> Result<Forgotten, JournalError>;

    /// Lets go of files and connections. Nothing is asked of it afterwards.
    async fn close(&self);
}

/// Why a batch is not durable, or not known to be.
#[derive(Debug, Error)]
pub(super) enum CommitError {
    /// It failed, or nobody knows: submit the same batch again.
    #[error("{0}")]
    Again(String),
    /// It did not happen and never will as it is: its data is at fault.
    #[error("{0}")]
    Rejected(String),
    /// Another incarnation has taken this one's place: nothing may be written any more.
    #[error("{0}")]
    Fenced(String),
}

impl From<Misfit> for CommitError {
    fn from(misfit: Misfit) -> Self {
        Self::Rejected(misfit.to_string())
    }
}

/// A place in the order of transactions by begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) created_at: Wall,
    pub(super) gid: Gid,
}

/// What one step of stripping did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stripped {
    /// Rows deleted.
    pub(super) rows: u64,
    /// When the transaction finished that has waited longest among those that had rows deleted.
    pub(super) oldest: Option<Wall>,
    /// The last place seen of which nothing is left to delete now.
    pub(super) reached: Option<Place>,
    /// Whether there may be more to delete.
    pub(super) more: bool,
}

/// What one step of forgetting did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Forgotten {
    /// Transactions deleted.
    pub(super) transactions: u64,
    /// Whether there may be more that are due.
    pub(super) more: bool,
    /// When the transaction finished that has waited longest among those found.
    pub(super) oldest: Option<Wall>,
}
