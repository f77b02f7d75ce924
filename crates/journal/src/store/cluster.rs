//! What several nodes do with each other's rows, where they share them.

use async_trait::async_trait;
use tercet_engine::{Chunk, Leave};
use tercet_wire::Gid;

use super::CommitError;

/// What the writer of a node that shares its rows with others puts between its batches. Both are
/// batches to the fence: one count up of this life's row, by the same statement and under the
/// same rules, and done once however often they are submitted.
#[async_trait]
pub(crate) trait Cluster: Send + Sync + 'static {
    /// Makes those of the chunk that are still the dead life's this one's. Once this returns, that
    /// is durable. Returns the gids of the chunk that are this life's now, by gid, also where the
    /// chunk had happened already.
    async fn take_over(&self, chunk: &Chunk) -> Result<Vec<Gid>, CommitError>;

    /// Marks this life as left, in its fence itself. Nothing may be written after it.
    async fn leave(&self, leave: &Leave) -> Result<(), CommitError>;
}
