//! Jobs: something is done to all transactions that a filter finds, one after the other.
//!
//! ```text
//!  POST ─▶ begin ─ queued ─▶ Worker ─▶ matching: what the filter finds, page by page, is written down
//!                                │         │
//!             a look a second ───┘         ▼
//!     what a dead node drove is        running: each is asked of whoever drives it, so many a second
//!     taken up by who sees it first        │  the effect and the tick are one record there
//!                                          ▼
//!  DELETE ─▶ stopping ────────▶ stopped, or done: counts and failures are written down
//! ```
//!
//! Everything that is known of a job is in its rows: whoever takes it up goes on where they end. Two
//! nodes that drive the same job do no harm: a change of it can be written once, and a tick too.

mod act;
mod document;
mod pace;
mod run;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tercet_clock::Clock;
use tercet_engine::{Act, JobRevision, Refusal};
use tercet_journal::{Journal, JournalError, StoredJob};
use tercet_wire::{
    ActId, Action, CheckedJob, Incarnation, JobAction, JobFailureView, JobStage, JobView,
    ListQuery, ListedJobView, MatchedView,
};
use thiserror::Error;
use tokio::sync::Notify;

pub(crate) use self::act::{Came, PassedAct, act_here};
use self::document::{Asked, Ended, read, written};
pub use self::worker::Worker;
use crate::access::Caller;
use crate::runtime::RuntimeHandle;

/// Failures that are told of one.
const MOST_FAILURES: u32 = 1_000;
/// Jobs that may be unfinished at once, over all nodes.
const MOST_UNFINISHED: usize = 100;
/// Transactions shown of what would be found.
const SAMPLE: usize = 5;

/// Why a request about jobs is not met.
#[derive(Debug, Error)]
pub enum JobError {
    /// There is no such job.
    #[error("no job {0} is known here")]
    NotFound(ActId),
    /// As many as may be are unfinished.
    #[error("{0} jobs are unfinished, as many as may be: wait for one to end, or stop one")]
    TooMany(usize),
    /// The engine or the journal did not answer in time.
    #[error("the journal did not answer in time; ask again")]
    NotInTime,
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Unreadable(#[source] JournalError),
    /// Nothing was written.
    #[error("the journal cannot be written")]
    Unwritten(#[source] JournalError),
    /// What is stored makes no sense.
    #[error("job {id} as it is stored makes no sense: {why}")]
    Damaged {
        /// Which job.
        id: ActId,
        /// In what way.
        why: String,
    },
}

impl From<Refusal> for JobError {
    fn from(_: Refusal) -> Self {
        Self::NotInTime
    }
}

/// Jobs of all nodes on a journal, for those who ask about them. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    journal: Journal,
    engine: RuntimeHandle,
    clock: Arc<dyn Clock>,
    own: Incarnation,
    wake: Arc<Notify>,
}

impl Jobs {
    /// Those on this journal, as one life of a node knows them.
    #[must_use]
    pub fn new(
        journal: Journal,
        engine: RuntimeHandle,
        clock: Arc<dyn Clock>,
        own: Incarnation,
    ) -> Self {
        Self { journal, engine, clock, own, wake: Arc::default() }
    }

    /// What a filter finds now.
    ///
    /// # Errors
    /// The journal does not answer in time.
    pub async fn matched(&self, mut query: ListQuery) -> Result<MatchedView, JobError> {
        // It is read from the database; what was told before this request is in it.
        self.engine.synced().await?;
        let mut view = MatchedView { matched: 0, by_status: BTreeMap::new(), sample: Vec::new() };
        loop {
            let page = self.journal.list(&query).await.map_err(JobError::Unreadable)?;
            view.matched += u64::try_from(page.items.len()).unwrap_or(u64::MAX);
            for item in &page.items {
                *view.by_status.entry(item.status).or_default() += 1;
            }
            let room = SAMPLE.saturating_sub(view.sample.len());
            view.sample.extend(page.items.into_iter().take(room));
            let place = page.next_cursor.map(|cursor| query.place(&cursor));
            // A cursor of ours is understood.
            let Some(Ok(place)) = place else { return Ok(view) };
            query.after = Some(place);
        }
    }

    /// Begins a job, which is durable, with its row in the audit, when this returns.
    ///
    /// # Errors
    /// There are as many as may be, or the journal does not answer in time.
    pub async fn begin(
        &self,
        job: CheckedJob,
        filter: Map<String, Value>,
        caller: &Caller,
    ) -> Result<ActId, JobError> {
        let unfinished = self.journal.unfinished_jobs().await.map_err(JobError::Unreadable)?;
        if unfinished.len() >= MOST_UNFINISHED {
            return Err(JobError::TooMany(unfinished.len()));
        }
        let (id, at) = (self.clock.new_act(), self.clock.now().wall);
        let CheckedJob { action, as_, note, dry_run: _ } = job;
        let mut detail = Map::new();
        detail.insert("job".to_owned(), Value::from(id.to_string()));
        detail.insert("action".to_owned(), Value::from(action.as_str()));
        if let Some(as_) = as_ {
            detail.insert("as".to_owned(), Value::from(as_.as_str()));
        }
        detail.insert("filter".to_owned(), Value::Object(filter.clone()));
        let act = Act {
            note: note.clone(),
            detail: Arc::from(Value::Object(detail).to_string()),
            ..self.act(id, Action::JobBegin, caller)
        };
        let asked = Asked { action, as_, note, filter, who: Arc::clone(&caller.who) };
        let first = JobRevision {
            id,
            revision: 1,
            stage: JobStage::Queued,
            at,
            owner: self.own,
            matched: 0,
            done: 0,
            failed: 0,
            document: Some(written(&asked)),
        };
        self.journal.revise_job(Some(act), first).await.map_err(JobError::Unwritten)?;
        tracing::info!(
            event = "job_begun",
            job = %id,
            action = action.as_str(),
            who = &*caller.who,
            "a job was begun"
        );
        self.wake.notify_one();
        Ok(id)
    }

    /// Jobs, those begun last first, before this one.
    ///
    /// # Errors
    /// The journal does not answer in time.
    pub async fn list(
        &self,
        before: Option<ActId>,
        limit: u32,
    ) -> Result<Vec<ListedJobView>, JobError> {
        let jobs = self.journal.jobs(before, limit).await.map_err(JobError::Unreadable)?;
        let mut listed = Vec::with_capacity(jobs.len());
        for job in jobs {
            match self.listed(&job).await {
                Ok(view) => listed.push(view),
                // The others can be shown.
                Err(error @ JobError::Damaged { .. }) => tell_damage(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(listed)
    }

    /// One.
    ///
    /// # Errors
    /// There is none, or the journal does not answer in time.
    pub async fn show(&self, id: ActId) -> Result<JobView, JobError> {
        let stored = self.stored(id).await?;
        let job = self.listed(&stored).await?;
        let failed = match stored.newest.stage.is_over() {
            true => read::<Ended>(&stored.newest)?.failed,
            false => failures(&self.journal, id).await.map_err(JobError::Unreadable)?,
        };
        Ok(JobView { job, failed })
    }

    /// Has a job stopped: from when this returns nothing new is begun by it for longer than a moment.
    /// What it has done stays. Of one that has ended nothing changes.
    ///
    /// # Errors
    /// There is none, or the journal does not answer in time.
    pub async fn stop(&self, id: ActId, caller: &Caller) -> Result<JobView, JobError> {
        loop {
            let StoredJob { newest, .. } = self.stored(id).await?;
            match newest.stage {
                JobStage::Queued | JobStage::Matching | JobStage::Running => {}
                JobStage::Stopping | JobStage::Stopped | JobStage::Done => {
                    return self.show(id).await;
                }
            }
            let act = Act {
                detail: Arc::from(serde_json::json!({ "job": id }).to_string()),
                ..self.act(self.clock.new_act(), Action::JobStop, caller)
            };
            let stopping = JobRevision {
                stage: JobStage::Stopping,
                at: self.clock.now().wall,
                ..next(&newest, newest.owner)
            };
            match self.journal.revise_job(Some(act), stopping).await {
                Ok(()) => {}
                // It has gone on meanwhile.
                Err(JournalError::Overtaken) => continue,
                Err(error) => return Err(JobError::Unwritten(error)),
            }
            self.wake.notify_one();
            return self.show(id).await;
        }
    }

    async fn stored(&self, id: ActId) -> Result<StoredJob, JobError> {
        let stored = self.journal.job(id).await.map_err(JobError::Unreadable)?;
        stored.ok_or(JobError::NotFound(id))
    }

    async fn listed(
        &self,
        StoredJob { first, newest }: &StoredJob,
    ) -> Result<ListedJobView, JobError> {
        let Asked { action, as_, note, filter, who } = read(first)?;
        let is_over = newest.stage.is_over();
        let (done, failed_total) = match is_over {
            true => (newest.done, newest.failed),
            false => {
                let counts = self.journal.job_counts(first.id).await;
                let counts = counts.map_err(JobError::Unreadable)?;
                (counts.come_to - counts.failed, counts.failed)
            }
        };
        Ok(ListedJobView {
            id: first.id,
            action,
            as_,
            filter,
            note: note.as_deref().map(str::to_owned),
            who: who.to_string(),
            state: newest.stage.state(),
            matched: newest.matched,
            done,
            failed_total,
            created_at: first.at,
            ended_at: is_over.then_some(newest.at),
        })
    }

    fn act(&self, id: ActId, action: Action, caller: &Caller) -> Act {
        Act {
            id,
            at: self.clock.now().wall,
            who: Arc::clone(&caller.who),
            role: Arc::from(caller.role.as_str()),
            action,
            gid: None,
            branch: None,
            note: None,
            detail: Arc::from("{}"),
        }
    }
}

/// What follows a revision, by this life of a node: so far nothing has changed.
fn next(newest: &JobRevision, owner: Incarnation) -> JobRevision {
    JobRevision { revision: newest.revision + 1, owner, document: None, ..newest.clone() }
}

/// The first transactions where a job could not do what it does.
async fn failures(journal: &Journal, id: ActId) -> Result<Vec<JobFailureView>, JournalError> {
    let ticks = journal.job_failures(id, MOST_FAILURES).await?;
    let view = |tick: tercet_engine::Tick| {
        Some(JobFailureView { gid: tick.gid, code: tick.code?.to_string() })
    };
    Ok(ticks.into_iter().filter_map(view).collect())
}

fn tell_damage(error: &JobError) {
    tracing::error!(event = "job_damaged", %error, "ALARM: a job as it is stored makes no sense");
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("own", &self.own).finish_non_exhaustive()
    }
}

/// How a job is called where it is counted.
pub(crate) fn label(action: JobAction) -> &'static str {
    action.as_str()
}
