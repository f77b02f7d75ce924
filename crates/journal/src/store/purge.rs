//! What the retention asks of a store: look up what is past its time, and delete it.

use async_trait::async_trait;
use tercet_wire::{Gid, Wall};

use crate::error::JournalError;

/// Finds what is past its retention beside the writer, and deletes it in the writer's turn.
#[async_trait]
pub(crate) trait Purge: Send + Sync + 'static {
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

    /// The oldest of what operators did before a moment, at most so many.
    async fn audit_due(&self, before: Wall, most: u32) -> Result<AuditDue, JournalError>;

    /// Deletes them.
    async fn purge_audit(&self, due: &AuditDue) -> Result<(), JournalError>;

    /// What of jobs that have ended may be deleted next.
    async fn jobs_due(&self, kept: &JobsKept, most: u32) -> Result<JobsDue, JournalError>;

    /// Deletes it.
    async fn purge_jobs(&self, due: &JobsDue) -> Result<(), JournalError>;
}

/// How long what there is of jobs is kept after their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobsKept {
    /// What they have come to and found is kept of those that ended at this moment or later. It is
    /// never less than what a request of theirs may take to arrive.
    pub(crate) ticks_before: Wall,
    /// They themselves are.
    pub(crate) before: Wall,
    /// And at most so many of them.
    pub(crate) jobs: usize,
}

/// What of jobs that have ended may be deleted. They never change, so nothing is asked of them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobsDue {
    /// Nothing.
    Nothing,
    /// What a job has come to, up to a place.
    Ticks { job: String, up_to: i32 },
    /// What it has found: the first revision of those.
    Found { job: String, revision: i32 },
    /// They themselves, and when the first of them ended.
    Jobs { ids: Vec<String>, oldest: Option<Wall> },
}

/// Rows of the audit that may be deleted. They never change, so nothing is asked of them again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AuditDue {
    /// Which they are. They may be damaged, so they are text.
    pub(crate) ids: Vec<String>,
    /// When the first of it was done.
    pub(crate) oldest: Option<Wall>,
    /// Whether there may be more.
    pub(crate) more: bool,
}

/// A place in the order of transactions by begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Keyset {
    pub(crate) created_at: Wall,
    pub(crate) gid: Gid,
}

/// How much is deleted in one turn of the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurgeLimits {
    /// Transactions looked at.
    pub(crate) transactions: u32,
    /// Rows of all tables, unless a single transaction has more.
    pub(crate) rows: u64,
}

/// What may be deleted. It is looked up beside the writer; whoever deletes asks again whether
/// each has finished, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PurgeBatch {
    /// Of the transactions. They may be damaged, so they are text.
    pub(crate) gids: Vec<String>,
    /// They finished before this.
    pub(crate) finished_before: Wall,
    /// When the one among them finished that has waited longest.
    pub(crate) oldest: Option<Wall>,
    /// The last transaction that a walk has seen.
    pub(crate) reached: Option<Keyset>,
    /// Whether there may be more.
    pub(crate) more: bool,
}

/// How many of these, from the first, are no more than `most` together: at least one that is
/// any.
pub(crate) fn first_within(most: u64, sizes: impl IntoIterator<Item = u64>) -> usize {
    let mut total: u64 = 0;
    let fits = |size: &u64| {
        let is_first = total == 0;
        total = total.saturating_add(*size);
        is_first || *size == 0 || total <= most
    };
    sizes.into_iter().take_while(fits).count()
}
