//! Exactly-once group commit: the engine's records become durable in their order, many at
//! a time, each once, whatever the database answers.
//!
//! ```text
//!   append(records) ──▶ queue ──▶ writer: all that waits, up to a cap ──▶ batch n
//!   (never blocks)                  ▲                                      │
//!                                   │ failed, or nobody knows:             ▼
//!                                   └── the same batch n again ◀── store.commit(n)
//!                                                                          │ durable
//!   runtime's inbox ◀── JournalEvent::{Exists, Durable, …} ◀───────────────┘
//!
//!   load(gids) ──▶ reader: all that wait, one read ──▶ JournalEvent::Loaded
//!   sweep(gid) ──▶ reader: again until it is read ──▶ JournalEvent::PageOfGids
//!   unfinished, list, history, summary ──▶ store, by the caller's own task
//! ```
//!
//! Writer and reader live on a thread of their own. A batch begins by counting up the number
//! in this node's row, on the condition that the row still holds the number before: the
//! count says at once that this node has not been replaced (its fence), and whether an
//! earlier submission whose outcome nobody knows had happened after all.

mod backlog;
mod batch;
mod batch_plan;
#[cfg(test)]
mod conformance;
mod database;
mod error;
mod handle;
mod memory;
mod meters;
mod reader;
mod retention;
mod settings;
mod sql;
mod sqlite;
mod store;
mod store_kind;
mod summary;
mod thread;
mod transaction_key;
mod unreadable;
mod writer;

pub use backlog::Backlog;
pub use database::{migrate_up, migration_status, untrusted_file_system};
pub use error::JournalError;
pub use handle::Journal;
pub use memory::MemoryRows;
pub use settings::{JournalSettings, Retention};
pub use sqlite::put_together;
pub use store_kind::StoreKind;
pub use summary::{JournalSummary, NodeRow};
use tercet_engine::Load;
pub use tercet_migrations::StepStatus;
use tercet_wire::{Gid, Seq};
pub use unreadable::Unreadable;

/// What the journal tells the runtime. Always in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// Every record up to here is durable.
    Durable(Seq),
    /// The gid of a `Begun` record is taken by another instance; none of this
    /// instance's records were or will be written. Comes before the `Durable` that covers it.
    Exists(Gid),
    /// The database rejects the records of this transaction, or they do not fit its rows: a
    /// fault of ours. Its rows stay as they were last durable, none of its further records
    /// are written, and no effect of it may be let out. Comes before the `Durable` that
    /// covers the first record left out.
    Quarantined(Gid),
    /// The answer to `Journal::load`.
    Loaded(Gid, Load),
    /// The answer to `Journal::sweep`: gids in order, none if there are no more.
    PageOfGids(Vec<Gid>),
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
