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

// A test's future holds those of all it awaits, one in the other.
#![cfg_attr(test, recursion_limit = "256")]

mod batch_plan;
#[cfg(test)]
mod conformance;
mod copy;
mod database;
mod error;
mod handle;
mod jobs;
mod memory;
mod meters;
mod mysql;
mod postgres;
mod reader;
mod retention;
mod settings;
mod shared;
mod sql;
mod sqlite;
mod store;
mod store_kind;
mod stored_job;
mod stored_saga;
mod summary;
mod thread;
mod unreadable;
mod writer;

pub use copy::{CopiedTable, copy};
pub use database::{
    check, database_file, hold, migrate_up, migration_status, untrusted_file_system,
};
pub use error::JournalError;
pub use handle::Journal;
pub use memory::MemoryRows;
pub use settings::{JournalSettings, Retention};
pub use sqlite::{BackedUp, ReadThrough, Restored, backup, put_together, read_through, restore};
pub use store_kind::StoreKind;
pub use stored_job::{JobCounts, StoredJob};
pub use stored_saga::{ListedSaga, StoredSaga};
pub use summary::{Held, JournalSummary, NodeRow};
pub use tercet_engine::JournalEvent;
pub use tercet_migrations::StepStatus;
pub use unreadable::Unreadable;
