//! Jobs, as the journal has them: what an operator has done to many transactions, one after the
//! other.
//!
//! ```text
//!  begun ──▶ queued ──▶ matching ──▶ running ──▶ done
//!               │           │           │
//!               └───────────┴───────────┴──▶ stopping ──▶ stopped
//! ```
//!
//! Each change of a job is a row that is added, so that of two nodes that take it for theirs only
//! one can be right. What was done to a transaction is a tick, which travels with it in one record.

use std::sync::Arc;

use tercet_wire::{ActId, Gid, Incarnation, JobStage, ProblemCode, Wall};

use crate::record::Change;

/// A change of a job. Its revisions have no gaps, so of two that were made of the same one only one
/// can be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobRevision {
    /// Which job: the act of whoever began it.
    pub id: ActId,
    /// Which of its changes, from 1.
    pub revision: u32,
    /// How far it is.
    pub stage: JobStage,
    /// When.
    pub at: Wall,
    /// Which life of a node drives it, or did last.
    pub owner: Incarnation,
    /// Transactions that it has found by now.
    pub matched: u64,
    /// At its end: those to which it was done.
    pub done: u64,
    /// At its end: those to which it could not be done.
    pub failed: u64,
    /// What belongs to it, as JSON: to the first what was asked for, to one that found transactions
    /// which they are, to the last which failed.
    pub document: Option<Arc<str>>,
}

/// That a job has come to a transaction. There is one of each, ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tick {
    /// Which job.
    pub job: ActId,
    /// To which transaction.
    pub gid: Gid,
    /// The transaction's place among those that the job has found, from 1.
    pub number: u32,
    /// Why it could not be done, if it could not.
    pub code: Option<ProblemCode>,
}

/// A tick and all that the job changed at once. They are one record, so that nothing ever comes
/// between the two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticked {
    /// The tick.
    pub tick: Tick,
    /// What was changed, in this order; none if there was nothing to be changed.
    pub changes: Vec<Change>,
}

/// What is written of jobs beside transactions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JobWrite {
    /// A job changes.
    Revision(JobRevision),
    /// Jobs have come to what is over, and nobody drives.
    Ticks(Vec<Tick>),
}
