//! What the journal has of jobs.

use tercet_engine::JobRevision;

/// A job: as it was begun, and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJob {
    /// What was asked for, by whom.
    pub first: JobRevision,
    /// How far it is.
    pub newest: JobRevision,
}

/// To how many transactions a job has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// In all.
    pub come_to: u64,
    /// Those of them where it could not do what it does.
    pub failed: u64,
}
