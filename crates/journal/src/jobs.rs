//! What the journal is asked about jobs.

use tercet_engine::{Act, ActAlone, JobRevision, JobWrite, Tick};
use tercet_wire::ActId;

use super::error::JournalError;
use super::handle::Journal;
use super::stored_job::{JobCounts, StoredJob};
use super::writer::Settled;

impl Journal {
    /// Makes a change of a job durable, with the act that asked for it, if one did: both or neither.
    ///
    /// # Errors
    /// As [`Journal::act`]; or another has written this revision of the job first.
    pub async fn revise_job(
        &self,
        act: Option<Act>,
        revision: JobRevision,
    ) -> Result<(), JournalError> {
        self.write_job(ActAlone {
            act,
            job: Some(JobWrite::Revision(revision)),
            ..ActAlone::default()
        })
        .await
    }

    /// Makes durable that a job has come to transactions that are over: to all of them, or to none.
    ///
    /// # Errors
    /// As [`Journal::act`]; or it has come to one of them before.
    pub async fn tick(&self, ticks: Vec<Tick>) -> Result<(), JournalError> {
        self.write_job(ActAlone { job: Some(JobWrite::Ticks(ticks)), ..ActAlone::default() }).await
    }

    async fn write_job(&self, write: ActAlone) -> Result<(), JournalError> {
        match self.act_alone(write).await? {
            Settled::Durable => Ok(()),
            Settled::Rejected => Err(JournalError::Overtaken),
        }
    }

    /// A job, if there is one.
    ///
    /// # Errors
    /// The database does not answer, or not in time; or what it has makes no sense.
    pub async fn job(&self, id: ActId) -> Result<Option<StoredJob>, JournalError> {
        self.shown(self.shared.store.job(id)).await
    }

    /// Jobs, those begun last first, before this one, at most `limit`.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn jobs(
        &self,
        before: Option<ActId>,
        limit: u32,
    ) -> Result<Vec<StoredJob>, JournalError> {
        self.shown(self.shared.store.jobs(before, limit)).await
    }

    /// What became last of each job that has not ended, by id.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn unfinished_jobs(&self) -> Result<Vec<JobRevision>, JournalError> {
        self.shown(self.shared.store.unfinished_jobs()).await
    }

    /// The first revision of a job after this one that found transactions.
    ///
    /// # Errors
    /// The database does not answer, or not in time; or what it has makes no sense.
    pub async fn job_found_after(
        &self,
        id: ActId,
        revision: u32,
    ) -> Result<Option<JobRevision>, JournalError> {
        self.shown(self.shared.store.job_found_after(id, revision)).await
    }

    /// To how many transactions a job has come.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn job_counts(&self, id: ActId) -> Result<JobCounts, JournalError> {
        self.shown(self.shared.store.job_counts(id)).await
    }

    /// Which places a job has come to, of those from one to another, in no order.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn job_came_to(
        &self,
        id: ActId,
        places: (u32, u32),
    ) -> Result<Vec<u32>, JournalError> {
        self.shown(self.shared.store.job_came_to(id, places)).await
    }

    /// The first transactions where a job could not do what it does, by their places.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn job_failures(&self, id: ActId, limit: u32) -> Result<Vec<Tick>, JournalError> {
        self.shown(self.shared.store.job_failures(id, limit)).await
    }
}
