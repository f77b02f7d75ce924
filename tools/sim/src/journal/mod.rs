//! The journal: rows that outlive the coordinator's lives, and the writer of each life.

mod rows;
mod writer;

pub(crate) use rows::{Batch, Changed, CommitError, Rows};
pub(crate) use writer::{Said, Writer};
