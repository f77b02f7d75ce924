//! Exactly-once group commit.

mod handle;

pub use handle::{Journal, JournalError, migrate_up, migration_status};

use tercet_protocol::{Gid, Load, Seq};

/// What the journal tells the runtime. Always in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// Every record up to here is durable.
    Durable(Seq),
    /// The gid of a `Begun` record is taken by another instance; none of this
    /// instance's records were or will be written. Comes before the `Durable` that covers it.
    Exists(Gid),
    /// The answer to `Journal::load`.
    Loaded(Gid, Load),
    /// A batch could not be written; it is submitted again until it can be.
    Failing {
        /// What the database said.
        why: String,
    },
    /// Batches are written again.
    Healed,
    /// This incarnation was fenced: nothing more will be written. Drop the engine and recover.
    Fenced,
}
