//! What several nodes do with each other's rows, where they share them.

use async_trait::async_trait;
use tercet_engine::{Chunk, Leave, LifeRow};
use tercet_wire::{Gid, Incarnation};

use super::CommitError;
use crate::error::JournalError;

/// Stands for the owner of unfinished transactions that have none: somebody with a shell has taken
/// it from them. No life has this number. They are found among the orphans, and taken over from
/// it as from a life.
pub(crate) const NOBODY: Incarnation = Incarnation(0);

/// The rows of all nodes, for one life of one of them. What each does to the rows of lives is said
/// by [`tercet_engine::Lives`].
///
/// The first two are the writer's, put between its batches. They are batches to the fence: a count
/// up of this life's row, by the same statement and under the same rules, done once however often
/// they are submitted. The others are each a transaction of its own that touches nothing else, on
/// a connection of the readers'; who is not told what became of one looks again.
#[async_trait]
pub(crate) trait Cluster: Send + Sync + 'static {
    /// Makes those of the chunk that are still the dead life's this one's. Once this returns, that
    /// is durable. Returns the gids of the chunk that are this life's now, by gid, also where the
    /// chunk had happened already.
    async fn take_over(&self, chunk: &Chunk) -> Result<Vec<Gid>, CommitError>;

    /// Marks this life as left, in its fence itself. Nothing may be written after it. Where it had
    /// happened already, this life's row says left, with the same number.
    async fn leave(&self, leave: &Leave) -> Result<(), CommitError>;

    /// The rows of all lives, this one's among them, all of one moment and not older than the
    /// call.
    async fn lives(&self) -> Result<Vec<LifeRow>, JournalError>;

    /// Marks a life as fenced if it is live and its last batch is still this one; whether it was.
    /// A batch of that life that is under way is waited for.
    async fn mark_fenced(&self, dead: Incarnation, seen: i64) -> Result<bool, JournalError>;

    /// Gids of a life's unfinished transactions, those after `after`, by gid; only of those
    /// without a decision, if so asked. None only when there are no more.
    async fn driven_by(
        &self,
        dead: Incarnation,
        undecided: bool,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Gid>, JournalError>;

    /// Owners that have no row, those after `after`, in order: lives whose row somebody has deleted,
    /// and [`NOBODY`] where unfinished transactions have no owner. What they drive is taken over
    /// as from a life that has left. None only when there are no more.
    async fn orphans(&self, after: Option<Incarnation>) -> Result<Vec<Incarnation>, JournalError>;

    /// Where each life listens.
    async fn urls(&self) -> Result<Vec<(Incarnation, String)>, JournalError>;

    /// The secret that all nodes on these rows share: this one, if there was none.
    async fn shared_secret(&self, fresh: &str) -> Result<String, JournalError>;

    /// Deletes the row of a life that is not live if no transaction points to it; whether it did.
    async fn remove(&self, dead: Incarnation) -> Result<bool, JournalError>;
}
