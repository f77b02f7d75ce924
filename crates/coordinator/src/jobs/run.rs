//! One job, driven by this node from where its rows end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{JobRevision, Tick};
use tercet_journal::{Journal, JournalError};
use tercet_wire::{
    ActId, Gid, Incarnation, Instance, JobAct, JobAction, JobDeed, JobStage, ListOrder, ListQuery,
    ResolvedAs, Wall,
};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::act::{Came, act_here, act_there};
use super::document::{Asked, Ended, Found, read, written};
use super::pace::Pace;
use super::{JobError, failures, next};
use crate::cluster::Forwarder;
use crate::http::job_query;
use crate::metrics::JobMetrics;
use crate::runtime::RuntimeHandle;

/// Transactions asked between two looks whether the job is to go on; and at a time: enough to share
/// batches of the journal, too few to fill the lane that initiators' confirms come by.
const AT_A_TIME: usize = 64;
/// How long what could not be read or reached is left alone.
const LATER: Duration = Duration::from_secs(1);

/// What jobs of a node are driven with.
pub(super) struct Driving {
    pub(super) journal: Journal,
    pub(super) engine: RuntimeHandle,
    pub(super) forwarder: Option<Arc<Forwarder>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) own: Incarnation,
    pub(super) pace: Pace,
    pub(super) metrics: JobMetrics,
}

/// Whether there is more to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    /// It has ended, or another node drives it.
    NoFurther,
}

/// What came of going through what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The job has come to all.
    Whole,
    /// Some could not be reached.
    Parts,
    /// The job is not to go on, or not by this node.
    Broken,
}

impl Driving {
    /// Drives a job until it ends or is another node's.
    pub(super) async fn drive(&self, id: ActId) {
        loop {
            match self.step(id).await {
                Ok(Goes::On) => {}
                Ok(Goes::NoFurther) => return,
                // Somebody has changed it meanwhile: it is looked at anew.
                Err(JobError::Unwritten(JournalError::Overtaken)) => {}
                Err(error @ JobError::Damaged { .. }) => {
                    super::tell_damage(&error);
                    sleep(60 * LATER).await;
                }
                Err(error) => {
                    tell_waiting(id, &error);
                    sleep(LATER).await;
                }
            }
        }
    }

    async fn step(&self, id: ActId) -> Result<Goes, JobError> {
        let stored = self.journal.job(id).await.map_err(JobError::Unreadable)?;
        let Some(stored) = stored else { return Ok(Goes::NoFurther) };
        let newest = stored.newest;
        if newest.owner != self.own {
            return Ok(Goes::NoFurther);
        }
        match newest.stage {
            JobStage::Queued | JobStage::Matching => self.find(&read(&stored.first)?, newest).await,
            JobStage::Running => {
                let asked = read(&stored.first)?;
                match self.go_through(&asked, &newest).await? {
                    Round::Whole => self.end(&newest, JobStage::Done).await,
                    Round::Parts => {
                        sleep(LATER).await;
                        Ok(Goes::On)
                    }
                    Round::Broken => Ok(Goes::On),
                }
            }
            JobStage::Stopping => self.end(&newest, JobStage::Stopped).await,
            JobStage::Stopped | JobStage::Done => Ok(Goes::NoFurther),
        }
    }

    /// Writes down what the filter finds, from where this was left.
    async fn find(&self, asked: &Asked, mut newest: JobRevision) -> Result<Goes, JobError> {
        let damaged = |why: String| JobError::Damaged { id: newest.id, why };
        let mut query = job_query(&asked.filter).map_err(|invalid| damaged(invalid.to_string()))?;
        query.order = ListOrder::Oldest;
        let mut last: Option<Found> = None;
        let mut revision = 0;
        while let Some(page) = self.found_after(newest.id, revision).await? {
            revision = page.revision;
            last = Some(read(&page)?);
        }
        let began = last.as_ref().map_or(self.clock.now().wall, |last| last.began);
        // What was begun in this very millisecond may have been told.
        let before = Wall(began.0.saturating_add(1));
        query.created_before = Some(query.created_before.map_or(before, |at| at.min(before)));
        let mut is_first = last.is_none();
        let mut from = last.as_ref().and_then(|last| last.next.clone());
        if is_first {
            // What was told before is in the database then.
            self.engine.synced().await?;
        }
        while is_first || from.is_some() {
            is_first = false;
            let (transactions, further) = self.page(&mut query, from.as_deref(), newest.id).await?;
            from = further;
            let found = u64::try_from(transactions.len()).unwrap_or(u64::MAX);
            let first = u32::try_from(newest.matched + 1).unwrap_or(u32::MAX);
            let document = Found { began, first, next: from.clone(), transactions };
            let page = JobRevision {
                stage: JobStage::Matching,
                matched: newest.matched + found,
                at: self.clock.now().wall,
                document: Some(written(&document)),
                ..next(&newest, self.own)
            };
            self.journal.revise_job(None, page.clone()).await.map_err(JobError::Unwritten)?;
            newest = page;
        }
        let running = JobRevision {
            stage: JobStage::Running,
            at: self.clock.now().wall,
            ..next(&newest, self.own)
        };
        self.journal.revise_job(None, running).await.map_err(JobError::Unwritten)?;
        Ok(Goes::On)
    }

    /// The next transactions of a list, and where those are that follow.
    async fn page(
        &self,
        query: &mut ListQuery,
        from: Option<&str>,
        id: ActId,
    ) -> Result<(Vec<(Gid, Instance)>, Option<String>), JobError> {
        if let Some(from) = from {
            let place = query.place(from);
            let place = place.map_err(|error| JobError::Damaged { id, why: error.to_string() })?;
            query.after = Some(place);
        }
        let page = self.journal.list(query).await.map_err(JobError::Unreadable)?;
        let transactions = page.items.into_iter().map(|item| (item.gid, item.instance));
        Ok((transactions.collect(), page.next_cursor))
    }

    async fn found_after(&self, id: ActId, revision: u32) -> Result<Option<JobRevision>, JobError> {
        self.journal.job_found_after(id, revision).await.map_err(JobError::Unreadable)
    }

    /// Comes to all that were found and that the job has not come to.
    async fn go_through(&self, asked: &Asked, newest: &JobRevision) -> Result<Round, JobError> {
        let query = job_query(&asked.filter)
            .map_err(|invalid| JobError::Damaged { id: newest.id, why: invalid.to_string() })?;
        let deed = deed(asked, &query);
        let mut round = Round::Whole;
        let mut revision = 0;
        while let Some(page) = self.found_after(newest.id, revision).await? {
            revision = page.revision;
            let Found { first, transactions, .. } = read(&page)?;
            let last = first.saturating_add(u32::try_from(transactions.len()).unwrap_or(u32::MAX));
            let places = (first..=u32::MAX).zip(transactions);
            let come_to = self.journal.job_came_to(newest.id, (first, last)).await;
            let come_to: BTreeSet<u32> =
                come_to.map_err(JobError::Unreadable)?.into_iter().collect();
            let open: Vec<(u32, (Gid, Instance))> =
                places.filter(|(number, _)| !come_to.contains(number)).collect();
            for some in open.chunks(self.pace.in_a_moment().min(AT_A_TIME)) {
                if !self.is_still(newest).await? {
                    return Ok(Round::Broken);
                }
                if !self.come_to(some, newest.id, asked, &deed).await? {
                    round = Round::Parts;
                }
            }
        }
        Ok(round)
    }

    /// Whether nobody has changed the job.
    async fn is_still(&self, newest: &JobRevision) -> Result<bool, JobError> {
        let stored = self.journal.job(newest.id).await.map_err(JobError::Unreadable)?;
        Ok(stored.is_some_and(|stored| stored.newest.revision == newest.revision))
    }

    /// Comes to each of these; whether it did to all.
    async fn come_to(
        &self,
        some: &[(u32, (Gid, Instance))],
        job: ActId,
        asked: &Asked,
        deed: &JobDeed,
    ) -> Result<bool, JobError> {
        let silent: Arc<Mutex<BTreeSet<Incarnation>>> = Arc::default();
        let mut asking = JoinSet::new();
        for (number, (gid, instance)) in some {
            self.pace.turn().await;
            let act = JobAct {
                job,
                number: *number,
                instance: *instance,
                who: Arc::clone(&asked.who),
                note: asked.note.clone(),
                does: deed.clone(),
            };
            let (engine, forwarder) = (self.engine.clone(), self.forwarder.clone());
            let (gid, silent) = (gid.clone(), Arc::clone(&silent));
            asking.spawn(async move {
                let came = one(&engine, forwarder.as_deref(), &gid, &act, &silent).await;
                (act.number, gid, came)
            });
        }
        let (mut over, mut all) = (Vec::new(), true);
        while let Some(came) = asking.join_next().await {
            // Nothing aborts these, and a panic was told by its hook.
            let Ok((number, gid, came)) = came else {
                all = false;
                continue;
            };
            self.metrics.count(asked.action, came);
            match came {
                Came::Ticked { .. } => {}
                Came::Over { code } => over.push(Tick { job, gid, number, code }),
                Came::Elsewhere(_) | Came::Unknown => all = false,
            }
        }
        Ok(self.tick(over).await? && all)
    }

    /// Writes that the job has come to what is over; whether it did to all. Of those that it had come
    /// to before, and that have ended since, that is written already.
    async fn tick(&self, over: Vec<Tick>) -> Result<bool, JobError> {
        if over.is_empty() {
            return Ok(true);
        }
        match self.journal.tick(over.clone()).await {
            Ok(()) => return Ok(true),
            Err(JournalError::Overtaken) => {}
            Err(error) => return Err(JobError::Unwritten(error)),
        }
        for one in over {
            match self.journal.tick(vec![one]).await {
                Ok(()) | Err(JournalError::Overtaken) => {}
                Err(error) => return Err(JobError::Unwritten(error)),
            }
        }
        Ok(true)
    }

    /// Writes down what came of it.
    async fn end(&self, newest: &JobRevision, stage: JobStage) -> Result<Goes, JobError> {
        let id = newest.id;
        let counts = self.journal.job_counts(id).await.map_err(JobError::Unreadable)?;
        let failed = failures(&self.journal, id).await.map_err(JobError::Unreadable)?;
        let ended = JobRevision {
            stage,
            at: self.clock.now().wall,
            done: counts.come_to - counts.failed,
            failed: counts.failed,
            document: Some(written(&Ended { failed })),
            ..next(newest, self.own)
        };
        let (done, failed) = (ended.done, ended.failed);
        self.journal.revise_job(None, ended).await.map_err(JobError::Unwritten)?;
        match stage {
            JobStage::Stopped => {
                tracing::info!(event = "job_stopped", job = %id, done, failed, "a job was stopped");
            }
            _ => tracing::info!(event = "job_done", job = %id, done, failed, "a job is done"),
        }
        Ok(Goes::NoFurther)
    }
}

fn tell_waiting(id: ActId, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(event = "job_held_up", job = %id, error, "a job waits for the journal");
}

/// Asks whoever drives it.
async fn one(
    engine: &RuntimeHandle,
    forwarder: Option<&Forwarder>,
    gid: &Gid,
    act: &JobAct,
    silent: &Mutex<BTreeSet<Incarnation>>,
) -> Came {
    let came = act_here(engine, gid.clone(), act.clone()).await;
    let (Came::Elsewhere(owner), Some(forwarder)) = (came, forwarder) else { return came };
    let owner = Incarnation(owner);
    let lock = || silent.lock().unwrap_or_else(PoisonError::into_inner);
    // An owner that did not answer for one is not waited for again for each of the others.
    if lock().contains(&owner) {
        return Came::Unknown;
    }
    let came = act_there(forwarder, owner, gid, act).await;
    if came == Came::Unknown {
        lock().insert(owner);
    }
    came
}

/// What is done to each. Branches are ended where the filter says which are meant: those of the
/// participant, those that are shown to people.
fn deed(asked: &Asked, query: &ListQuery) -> JobDeed {
    match asked.action {
        JobAction::Retry => JobDeed::Retry,
        JobAction::Cancel => JobDeed::Cancel,
        JobAction::Resolve => JobDeed::Resolve {
            // It was not begun without.
            as_: asked.as_.unwrap_or(ResolvedAs::Cancelled),
            participant: query.participant.as_deref().map(Arc::from),
            parked: query.parked,
        },
    }
}
