//! Finds the jobs that are this node's to drive, and drives some of them at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{JobRevision, LifeState};
use tercet_journal::JournalError;
use tercet_wire::{ActId, Incarnation, JobStage};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::Jobs;
use super::next;
use super::pace::Pace;
use super::run::Driving;
use crate::cluster::Forwarder;
use crate::metrics::JobMetrics;

/// How often is looked for jobs that another node has left, or has had stopped.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Jobs that a node drives at once; the others wait.
const AT_ONCE: usize = 4;

/// Drives jobs, for one life of a node.
pub struct Worker {
    driving: Arc<Driving>,
    wake: Arc<Notify>,
    tasks: JoinSet<ActId>,
    under_way: BTreeMap<ActId, AbortHandle>,
}

impl Worker {
    /// One that drives `per_second` transactions of `jobs`.
    #[must_use]
    pub fn new(jobs: &Jobs, forwarder: Option<Arc<Forwarder>>, per_second: u32) -> Self {
        let clock = Arc::clone(&jobs.clock);
        let driving = Driving {
            journal: jobs.journal.clone(),
            engine: jobs.engine.clone(),
            forwarder,
            pace: Pace::new(Arc::clone(&clock), per_second),
            clock,
            own: jobs.own,
            metrics: JobMetrics::register(),
        };
        Self {
            driving: Arc::new(driving),
            wake: Arc::clone(&jobs.wake),
            tasks: JoinSet::new(),
            under_way: BTreeMap::new(),
        }
    }

    /// Runs until `stop` turns true, or nobody is left who could say so. What is under way then goes on
    /// in another life, or at another node.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.look().await {
                tracing::debug!(event = "jobs_not_read", %error, "cannot look for jobs");
            }
            let is_over = tokio::select! {
                biased;
                // What it lends is not kept.
                // Somebody has said so, or nobody is left who could.
                () = async { drop(stop.wait_for(|stop| *stop).await) } => true,
                Some(ended) = self.tasks.join_next() => {
                    if let Ok(id) = ended {
                        self.under_way.remove(&id);
                    }
                    false
                }
                _ = timeout(LOOK_EVERY, self.wake.notified()) => false,
            };
            if is_over {
                return self.tasks.shutdown().await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), JournalError> {
        // A task that has failed takes its place with it.
        self.under_way.retain(|_, task| !task.is_finished());
        let unfinished = self.driving.journal.unfinished_jobs().await?;
        let (own, others): (Vec<JobRevision>, Vec<JobRevision>) =
            unfinished.into_iter().partition(|job| job.owner == self.driving.own);
        self.driving.metrics.unfinished(own.len());
        for job in own {
            let is_to_end = job.stage == JobStage::Stopping;
            if self.under_way.contains_key(&job.id)
                || (self.under_way.len() >= AT_ONCE && !is_to_end)
            {
                continue;
            }
            let (driving, id) = (Arc::clone(&self.driving), job.id);
            let task = self.tasks.spawn(async move {
                driving.drive(id).await;
                id
            });
            self.under_way.insert(id, task);
        }
        if others.is_empty() {
            return Ok(());
        }
        let live = self.live().await?;
        for job in others.iter().filter(|job| !live.contains(&job.owner)) {
            self.take_up(job).await?;
        }
        Ok(())
    }

    /// The lives that may be driving something. Where nodes do not share the rows there is none but
    /// this one.
    async fn live(&self) -> Result<Vec<Incarnation>, JournalError> {
        let lives = self.driving.journal.lives().await?;
        let live = lives.into_iter().filter(|life| life.state == LifeState::Live);
        Ok(live.map(|life| life.incarnation).collect())
    }

    /// Makes a job this life's, unless another was first.
    async fn take_up(&self, job: &JobRevision) -> Result<(), JournalError> {
        let mine = JobRevision { at: self.driving.clock.now().wall, ..next(job, self.driving.own) };
        match self.driving.journal.revise_job(None, mine).await {
            Ok(()) => {
                tracing::info!(
                    event = "job_taken_over",
                    job = %job.id,
                    from = job.owner.0,
                    "a job goes on here: the life of a node that drove it is over"
                );
                self.wake.notify_one();
                Ok(())
            }
            Err(JournalError::Overtaken) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
