//! What keeps the rows. Two do: a database, and memory for tests and for measuring without a
//! disk. Both pass the same conformance suite.

use async_trait::async_trait;
use tercet_engine::{ApplyError, HistoryEvent, Load, StoredTransaction};
use tercet_wire::{Gid, ListQuery, Page, SummaryView, Wall};
use thiserror::Error;

use super::batch::Batch;
use super::error::JournalError;
use super::summary::JournalSummary;
use super::transaction_key::TransactionKey;
use super::unreadable::Unreadable;

/// Keeps the rows. Batches come from the one writer, one at a time.
#[async_trait]
pub(super) trait Store: Send + Sync + 'static {
    /// Makes a batch durable. Once this returns, each of its records is, but for those of the
    /// lives returned, whose gid belongs to another life. A batch that had happened
    /// already, in a submission whose outcome was not learned, is not done twice, and
    /// returns the same.
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError>;

    /// Reads transactions, whoever owns them: from the first on, as many as may be in memory at
    /// once; of some, at least one. The gids differ.
    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError>;

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
    ) -> Result<Vec<HistoryEvent>, JournalError>;

    /// How many finished transactions there are.
    async fn count_finished(&self) -> Result<u64, JournalError>;

    /// The next transactions in the order of their begin, after `after`, and which of them
    /// may be stripped since they finished before a moment.
    async fn due_for_pruning(
        &self,
        after: Option<&Keyset>,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError>;

    /// The oldest transactions by begin that finished before a moment.
    async fn due_for_purging(
        &self,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError>;

    /// Deletes branches, outcomes and history of what is due and still finished.
    async fn prune(&self, due: &PurgeBatch) -> Result<(), JournalError>;

    /// Deletes all of what is due and still finished, and says how many transactions that
    /// was. Their gids are free from then on.
    async fn purge(&self, due: &PurgeBatch) -> Result<u64, JournalError>;

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

impl From<ApplyError> for CommitError {
    fn from(misfit: ApplyError) -> Self {
        Self::Rejected(misfit.to_string())
    }
}

/// A place in the order of transactions by begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keyset {
    pub(super) created_at: Wall,
    pub(super) gid: Gid,
}

/// How much is deleted in one turn of the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PurgeLimits {
    /// Transactions looked at.
    pub(super) transactions: u32,
    /// Rows of all tables, unless a single transaction has more.
    pub(super) rows: u64,
}

/// How many of these, from the first, are no more than `most` together: at least one that is
/// any.
pub(super) fn first_within(most: u64, sizes: impl IntoIterator<Item = u64>) -> usize {
    let mut total: u64 = 0;
    let fits = |size: &u64| {
        let is_first = total == 0;
        total = total.saturating_add(*size);
        is_first || *size == 0 || total <= most
    };
    sizes.into_iter().take_while(fits).count()
}

/// What may be deleted. It is looked up beside the writer; whoever deletes asks again whether
/// each has finished, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PurgeBatch {
    /// Of the transactions. They may be damaged, so they are text.
    pub(super) gids: Vec<String>,
    /// They finished before this.
    pub(super) finished_before: Wall,
    /// When the one among them finished that has waited longest.
    pub(super) oldest: Option<Wall>,
    /// The last transaction that a walk has seen.
    pub(super) reached: Option<Keyset>,
    /// Whether there may be more.
    pub(super) more: bool,
}
