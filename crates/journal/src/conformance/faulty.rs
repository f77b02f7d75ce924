//! A store between the journal and a real one, which fails on request.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use tercet_engine::{
    Batch, Chunk, HistoryEvent, HoldChange, JobRevision, Leave, LifeRow, Load, ParticipantPause,
    StoredTransaction, Tick, TransactionKey,
};
use tercet_wire::{
    ActId, AuditEntryView, AuditQuery, Gid, Incarnation, ListQuery, Page, RowsUnder, SagaName,
    SummaryView, Wall,
};
use tokio::sync::watch;

use crate::error::JournalError;
use crate::store::{
    AuditDue, Cluster, Commit, CommitError, JobsDue, JobsKept, Keyset, Purge, PurgeBatch,
    PurgeLimits, Read, Store,
};
use crate::stored_job::{JobCounts, StoredJob};
use crate::stored_saga::{ListedSaga, StoredSaga};
use crate::summary::JournalSummary;
use crate::unreadable::Unreadable;

/// What becomes of one submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing special.
    None,
    /// It fails without having happened.
    Before,
    /// It happens and is reported as failed.
    After,
    /// It is given up after it has waited this many times: somewhere in its middle, and
    /// nobody knows whether it happened.
    CutAfter(u32),
    /// Another transaction is in its way, and it does not happen.
    Conflict,
    /// It happens, and is said to have been in another's way: a COMMIT whose answer says so may.
    ConflictAfter,
}

/// Says what becomes of the next submissions, and remembers them.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    next: Arc<Mutex<VecDeque<Fault>>>,
    submitted: Arc<watch::Sender<Vec<Batch>>>,
    forgotten: Arc<watch::Sender<Vec<usize>>>,
    /// How many submissions may come before the next ones wait.
    allowed: Arc<watch::Sender<usize>>,
    arrived: Arc<AtomicUsize>,
    waiting: Arc<watch::Sender<usize>>,
    sweeps_to_fail: Arc<AtomicU32>,
    look_ups: Arc<LookUps>,
}

/// Look-ups of the retention's, lists and counts.
#[derive(Debug)]
struct LookUps {
    stalled: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self {
            next: Arc::default(),
            submitted: Arc::new(watch::Sender::new(Vec::new())),
            forgotten: Arc::new(watch::Sender::new(Vec::new())),
            allowed: Arc::new(watch::Sender::new(usize::MAX)),
            arrived: Arc::default(),
            waiting: Arc::new(watch::Sender::new(0)),
            sweeps_to_fail: Arc::default(),
            look_ups: Arc::new(LookUps {
                stalled: watch::Sender::new(false),
                waiting: watch::Sender::new(0),
            }),
        }
    }

    pub(crate) fn then(&self, faults: &[Fault]) {
        self.next.lock().unwrap().extend(faults);
    }

    /// The next sweeps cannot be read, this many of them.
    pub(crate) fn fail_sweeps(&self, times: u32) {
        self.sweeps_to_fail.store(times, Ordering::Relaxed);
    }

    pub(crate) fn stall(&self) {
        self.allowed.send_replace(self.arrived.load(Ordering::Relaxed));
    }

    pub(crate) fn release(&self) {
        self.allowed.send_replace(usize::MAX);
    }

    /// Lets one of the submissions through that wait, or the next one, and no more.
    pub(crate) fn let_one_through(&self) {
        self.allowed.send_modify(|allowed| *allowed = allowed.saturating_add(1));
    }

    /// Returns once a submission waits for `release`.
    pub(crate) async fn until_stalled(&self) {
        self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.unwrap();
    }

    /// From now on neither lists and counts nor the retention's look-ups answer.
    pub(crate) fn stall_look_ups(&self) {
        self.look_ups.stalled.send_replace(true);
    }

    /// They answer.
    pub(crate) fn release_look_ups(&self) {
        self.look_ups.stalled.send_replace(false);
    }

    /// Returns once so many of them have been asked for and not answered.
    pub(crate) async fn until_look_ups_wait(&self, many: usize) {
        self.look_ups.waiting.subscribe().wait_for(|waiting| *waiting >= many).await.unwrap();
    }

    /// How many have been asked for while none were answered.
    pub(crate) fn look_ups_waiting(&self) -> usize {
        *self.look_ups.waiting.borrow()
    }

    async fn until_looked_up(&self) {
        let mut stalled = self.look_ups.stalled.subscribe();
        self.look_ups.waiting.send_modify(|waiting| *waiting += usize::from(*stalled.borrow()));
        stalled.wait_for(|stalled| !stalled).await.unwrap();
    }

    /// Every submission so far, repeated ones too.
    pub(crate) fn submitted(&self) -> Vec<Batch> {
        self.submitted.borrow().clone()
    }

    /// Returns once there have been so many of them.
    pub(crate) async fn until_submitted(&self, many: usize) {
        self.submitted.subscribe().wait_for(|all| all.len() >= many).await.unwrap();
    }

    /// How many submissions there had been at each step of forgetting.
    pub(crate) fn forgotten(&self) -> Vec<usize> {
        self.forgotten.borrow().clone()
    }

    /// Returns once there have been so many of them.
    pub(crate) async fn until_forgotten(&self, many: usize) {
        self.forgotten.subscribe().wait_for(|all| all.len() >= many).await.unwrap();
    }
}

pub(super) struct Faulty {
    pub(super) store: Arc<dyn Store>,
    pub(super) faults: Faults,
}

#[async_trait]
impl Commit for Faulty {
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError> {
        let number = self.faults.arrived.fetch_add(1, Ordering::Relaxed);
        let mut allowed = self.faults.allowed.subscribe();
        self.faults.waiting.send_modify(|waiting| *waiting += 1);
        allowed.wait_for(|allowed| number < *allowed).await.unwrap();
        self.faults.waiting.send_modify(|waiting| *waiting -= 1);
        self.faults.submitted.send_modify(|all| all.push(batch.clone()));
        self.submit(self.store.commit(batch)).await
    }

    fn max_binds(&self) -> usize {
        self.store.max_binds()
    }
}

#[async_trait]
impl Read for Faulty {
    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError> {
        self.store.load(gids).await
    }

    async fn look_at(&self, gid: &Gid) -> Result<Option<StoredTransaction>, JournalError> {
        self.store.look_at(gid).await
    }

    async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<StoredTransaction, Unreadable>>, JournalError> {
        self.store.unfinished(after, limit).await
    }

    async fn sweep(&self, after: Option<&Gid>, limit: u32) -> Result<Vec<Gid>, JournalError> {
        let to_fail = &self.faults.sweeps_to_fail;
        let one_less = |times: u32| times.checked_sub(1);
        if to_fail.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            return Err(JournalError::Closed);
        }
        self.store.sweep(after, limit).await
    }

    async fn summary(&self, now: Wall) -> Result<JournalSummary, JournalError> {
        self.faults.until_looked_up().await;
        self.store.summary(now).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.list(query).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntryView>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.audit(query).await
    }

    async fn saga(
        &self,
        name: &SagaName,
        version: Option<u32>,
    ) -> Result<Option<StoredSaga>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.saga(name, version).await
    }

    async fn sagas(
        &self,
        after: Option<&SagaName>,
        limit: u32,
    ) -> Result<Vec<ListedSaga>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.sagas(after, limit).await
    }

    async fn pauses(&self) -> Result<Vec<ParticipantPause>, JournalError> {
        self.store.pauses().await
    }

    async fn hold(&self) -> Result<Option<HoldChange>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.hold().await
    }

    async fn count_sagas(&self) -> Result<u64, JournalError> {
        self.faults.until_looked_up().await;
        self.store.count_sagas().await
    }

    async fn job(&self, id: ActId) -> Result<Option<StoredJob>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.job(id).await
    }

    async fn jobs(
        &self,
        before: Option<ActId>,
        limit: u32,
    ) -> Result<Vec<StoredJob>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.jobs(before, limit).await
    }

    async fn unfinished_jobs(&self) -> Result<Vec<JobRevision>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.unfinished_jobs().await
    }

    async fn job_found_after(
        &self,
        id: ActId,
        revision: u32,
    ) -> Result<Option<JobRevision>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.job_found_after(id, revision).await
    }

    async fn job_counts(&self, id: ActId) -> Result<JobCounts, JournalError> {
        self.faults.until_looked_up().await;
        self.store.job_counts(id).await
    }

    async fn job_came_to(&self, id: ActId, places: (u32, u32)) -> Result<Vec<u32>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.job_came_to(id, places).await
    }

    async fn job_failures(&self, id: ActId, limit: u32) -> Result<Vec<Tick>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.job_failures(id, limit).await
    }

    async fn secret(&self) -> Result<Option<String>, JournalError> {
        self.faults.until_looked_up().await;
        self.store.secret().await
    }

    async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<HistoryEvent>, JournalError> {
        self.store.history(gid, after, limit).await
    }
}

#[async_trait]
impl Purge for Faulty {
    async fn count_finished(&self) -> Result<u64, JournalError> {
        self.faults.until_looked_up().await;
        self.store.count_finished().await
    }

    async fn due_for_pruning(
        &self,
        after: Option<&Keyset>,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        self.faults.until_looked_up().await;
        self.store.due_for_pruning(after, finished_before, most).await
    }

    async fn due_for_purging(
        &self,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        self.faults.until_looked_up().await;
        self.store.due_for_purging(finished_before, most).await
    }

    async fn prune(&self, due: &PurgeBatch) -> Result<(), JournalError> {
        self.store.prune(due).await
    }

    async fn purge(&self, due: &PurgeBatch) -> Result<u64, JournalError> {
        let submitted = self.faults.submitted().len();
        self.faults.forgotten.send_modify(|all| all.push(submitted));
        self.store.purge(due).await
    }

    async fn audit_due(&self, before: Wall, most: u32) -> Result<AuditDue, JournalError> {
        self.faults.until_looked_up().await;
        self.store.audit_due(before, most).await
    }

    async fn purge_audit(&self, due: &AuditDue) -> Result<(), JournalError> {
        self.store.purge_audit(due).await
    }

    async fn jobs_due(&self, kept: &JobsKept, most: u32) -> Result<JobsDue, JournalError> {
        self.faults.until_looked_up().await;
        self.store.jobs_due(kept, most).await
    }

    async fn purge_jobs(&self, due: &JobsDue) -> Result<(), JournalError> {
        self.store.purge_jobs(due).await
    }
}

impl Faulty {
    fn others(&self) -> &dyn Cluster {
        self.store.cluster().unwrap()
    }

    /// Does it, with what is to become of it.
    async fn submit<T>(
        &self,
        submission: impl Future<Output = Result<T, CommitError>>,
    ) -> Result<T, CommitError> {
        let fault = self.faults.next.lock().unwrap().pop_front().unwrap_or(Fault::None);
        let failed = || CommitError::Again(format!("{fault:?}"));
        match fault {
            Fault::None => submission.await,
            Fault::Before => Err(failed()),
            Fault::After => {
                submission.await?;
                Err(failed())
            }
            Fault::CutAfter(waits) => {
                cut_after(waits, submission).await.unwrap_or_else(|| Err(failed()))
            }
            Fault::Conflict => Err(CommitError::Conflict("in another's way".to_owned())),
            Fault::ConflictAfter => {
                submission.await?;
                Err(CommitError::Conflict("in another's way".to_owned()))
            }
        }
    }
}

#[async_trait]
impl Cluster for Faulty {
    async fn take_over(&self, chunk: &Chunk) -> Result<Vec<Gid>, CommitError> {
        self.submit(self.others().take_over(chunk)).await
    }

    async fn leave(&self, leave: &Leave) -> Result<(), CommitError> {
        self.submit(self.others().leave(leave)).await
    }

    async fn lives(&self) -> Result<Vec<LifeRow>, JournalError> {
        self.others().lives().await
    }

    async fn mark_fenced(&self, dead: Incarnation, seen: i64) -> Result<bool, JournalError> {
        self.others().mark_fenced(dead, seen).await
    }

    async fn driven_by(
        &self,
        dead: Incarnation,
        undecided: bool,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Gid>, JournalError> {
        self.others().driven_by(dead, undecided, after, limit).await
    }

    async fn orphans(&self, after: Option<Incarnation>) -> Result<Vec<Incarnation>, JournalError> {
        self.others().orphans(after).await
    }

    async fn urls(&self) -> Result<Vec<(Incarnation, String)>, JournalError> {
        self.others().urls().await
    }

    async fn shared_secret(&self, fresh: &str) -> Result<String, JournalError> {
        self.others().shared_secret(fresh).await
    }

    async fn remove(&self, dead: Incarnation) -> Result<bool, JournalError> {
        self.others().remove(dead).await
    }
}

#[async_trait]
impl Store for Faulty {
    fn last_written(&self) -> Option<Wall> {
        self.store.last_written()
    }

    fn is_intact(&self) -> bool {
        self.store.is_intact()
    }

    fn rows_under(&self) -> RowsUnder {
        self.store.rows_under()
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        self.store.cluster().map(|_| self as &dyn Cluster)
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

/// Drops a future once it has waited more often than this.
async fn cut_after<F: Future>(waits: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut waited = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if waited == waits => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}
