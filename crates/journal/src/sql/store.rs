//! What a store on an SQL database has to bring along. What it must do beside committing is the
//! same for all of them.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{DatabaseConnection, Statement};
use tercet_engine::{
    HistoryEvent, HoldChange, JobRevision, Load, ParticipantPause, StoredTransaction, Tick,
};
use tercet_wire::{
    ActId, AuditEntryView, AuditQuery, Gid, Incarnation, ListQuery, Page, SagaName, SummaryView,
    Wall,
};

use super::dialect::Dialect;
use super::summary::FinishedCounts;
use super::{audit, holds, jobs, list, load, pauses, read, retention, sagas, summary};
use crate::error::JournalError;
use crate::store::{AuditDue, JobsDue, JobsKept, Keyset, Purge, PurgeBatch, PurgeLimits, Read};
use crate::stored_job::{JobCounts, StoredJob};
use crate::stored_saga::{ListedSaga, StoredSaga};
use crate::summary::JournalSummary;
use crate::unreadable::Unreadable;

/// How long reads under way are waited for when the journal is closed.
const CLOSING: Duration = Duration::from_millis(500);

/// The node's own reads at once: the reader's, and the retention's.
pub(crate) const OWN_READS: u32 = 2;

/// A store on an SQL database.
#[async_trait]
pub(crate) trait SqlStore: Send + Sync + 'static {
    /// How it is spoken to.
    type Dialect: Dialect;

    /// Whether several nodes use the rows: then what has lost its owner is nobody's to drive until
    /// one of them has taken it over.
    const IS_SHARED: bool = false;

    fn dialect(&self) -> Self::Dialect;

    fn pools(&self) -> &Pools;

    /// How long one of the node's own reads may take.
    fn read_within(&self) -> Duration {
        Duration::MAX
    }

    /// How long what the retention looks up may take.
    fn look_up_within(&self) -> Duration {
        Duration::MAX
    }

    /// Executes these in one transaction on the connection that writes, and says how many rows
    /// the last one changed.
    async fn delete(&self, statements: Vec<Statement>) -> Result<u64, JournalError>;
}

/// Connections that read, and what one life of a node reads by them.
pub(crate) struct Pools {
    pub(crate) incarnation: Incarnation,
    /// What the node itself reads: loads, sweeps, recovery, what is past its retention.
    pub(crate) recovery_pool: DatabaseConnection,
    /// What people read: lists, histories, counts. However slow these are, the node's own
    /// reads do not wait for them.
    pub(crate) query_pool: DatabaseConnection,
    pub(crate) page_bytes: u64,
    /// How many have finished.
    pub(crate) finished: FinishedCounts,
}

impl Pools {
    /// Lets go of them.
    pub(crate) async fn close(&self) {
        let all = async {
            tokio::join!(discard(self.recovery_pool.clone()), discard(self.query_pool.clone()));
        };
        if tokio::time::timeout(CLOSING, all).await.is_err() {
            // They have only read, and end with the process.
            tracing::warn!(
                event = "database_closed_while_read",
                "the database is let go of while it is being read"
            );
        }
    }
}

/// Ends a connection or a pool of them, with whatever is half done on it.
pub(crate) async fn discard(connection: DatabaseConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(
            event = "connection_not_closed",
            error = &error as &dyn std::error::Error,
            "cannot close a connection"
        );
    }
}

/// Gives a read up that takes longer.
pub(crate) async fn bounded<T>(
    within: Duration,
    read: impl Future<Output = Result<T, JournalError>>,
) -> Result<T, JournalError> {
    let read = tokio::time::timeout(within, read).await;
    read.unwrap_or(Err(JournalError::TooSlow { within }))
}

#[async_trait]
impl<S: SqlStore> Read for S {
    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError> {
        let Pools { incarnation, recovery_pool, page_bytes, .. } = self.pools();
        let read = async {
            match S::IS_SHARED {
                true => load::load_of_shared(recovery_pool, *incarnation, gids, *page_bytes).await,
                false => load::load(recovery_pool, *incarnation, gids, *page_bytes).await,
            }
        };
        bounded(self.read_within(), read).await
    }

    async fn look_at(&self, gid: &Gid) -> Result<Option<StoredTransaction>, JournalError> {
        bounded(self.read_within(), load::look_at(&self.pools().recovery_pool, gid)).await
    }

    async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<StoredTransaction, Unreadable>>, JournalError> {
        let Pools { incarnation, recovery_pool, page_bytes, .. } = self.pools();
        let read = read::unfinished(recovery_pool, *incarnation, after, limit, *page_bytes);
        bounded(self.read_within(), read).await
    }

    async fn sweep(&self, after: Option<&Gid>, limit: u32) -> Result<Vec<Gid>, JournalError> {
        let Pools { incarnation, recovery_pool, .. } = self.pools();
        let read = read::sweep(recovery_pool, *incarnation, after, limit);
        bounded(self.read_within(), read).await
    }

    async fn summary(&self, now: Wall) -> Result<JournalSummary, JournalError> {
        let Pools { query_pool, finished, .. } = self.pools();
        summary::summary(query_pool, self.dialect(), finished, now).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        list::page(&self.pools().query_pool, query).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntryView>, JournalError> {
        audit::page(&self.pools().query_pool, query).await
    }

    async fn saga(
        &self,
        name: &SagaName,
        version: Option<u32>,
    ) -> Result<Option<StoredSaga>, JournalError> {
        sagas::one(&self.pools().query_pool, name, version).await
    }

    async fn sagas(
        &self,
        after: Option<&SagaName>,
        limit: u32,
    ) -> Result<Vec<ListedSaga>, JournalError> {
        sagas::page(&self.pools().query_pool, after, limit).await
    }

    async fn count_sagas(&self) -> Result<u64, JournalError> {
        sagas::count(&self.pools().query_pool).await
    }

    async fn pauses(&self) -> Result<Vec<ParticipantPause>, JournalError> {
        let read = pauses::all(&self.pools().recovery_pool);
        bounded(self.look_up_within(), read).await
    }

    async fn job(&self, id: ActId) -> Result<Option<StoredJob>, JournalError> {
        jobs::one(&self.pools().query_pool, id).await
    }

    async fn jobs(
        &self,
        before: Option<ActId>,
        limit: u32,
    ) -> Result<Vec<StoredJob>, JournalError> {
        jobs::page(&self.pools().query_pool, before, limit).await
    }

    async fn unfinished_jobs(&self) -> Result<Vec<JobRevision>, JournalError> {
        jobs::unfinished(&self.pools().query_pool).await
    }

    async fn job_found_after(
        &self,
        id: ActId,
        revision: u32,
    ) -> Result<Option<JobRevision>, JournalError> {
        jobs::found_after(&self.pools().query_pool, id, revision).await
    }

    async fn job_counts(&self, id: ActId) -> Result<JobCounts, JournalError> {
        jobs::counts(&self.pools().query_pool, id).await
    }

    async fn job_came_to(&self, id: ActId, places: (u32, u32)) -> Result<Vec<u32>, JournalError> {
        jobs::come_to(&self.pools().query_pool, id, places).await
    }

    async fn job_failures(&self, id: ActId, limit: u32) -> Result<Vec<Tick>, JournalError> {
        jobs::failures(&self.pools().query_pool, id, limit).await
    }

    async fn hold(&self) -> Result<Option<HoldChange>, JournalError> {
        let newest = async { Ok(holds::newest(&self.pools().recovery_pool).await?) };
        bounded(self.read_within(), newest).await
    }

    async fn secret(&self) -> Result<Option<String>, JournalError> {
        read::setting(&self.pools().query_pool, read::SECRET).await
    }

    async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<HistoryEvent>, JournalError> {
        read::history(&self.pools().query_pool, gid, after, limit).await
    }
}

#[async_trait]
impl<S: SqlStore> Purge for S {
    async fn count_finished(&self) -> Result<u64, JournalError> {
        let read = retention::count_finished(&self.pools().recovery_pool);
        bounded(self.look_up_within(), read).await
    }

    async fn due_for_pruning(
        &self,
        after: Option<&Keyset>,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        let pool = &self.pools().recovery_pool;
        let read = retention::due_for_pruning(pool, after, finished_before, most);
        bounded(self.look_up_within(), read).await
    }

    async fn due_for_purging(
        &self,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        let read = retention::due_for_purging(&self.pools().recovery_pool, finished_before, most);
        bounded(self.look_up_within(), read).await
    }

    async fn prune(&self, due: &PurgeBatch) -> Result<(), JournalError> {
        self.delete(retention::pruning(self.dialect(), due)).await.map(|_| ())
    }

    async fn purge(&self, due: &PurgeBatch) -> Result<u64, JournalError> {
        self.delete(retention::purging(self.dialect(), due)).await
    }

    async fn audit_due(&self, before: Wall, most: u32) -> Result<AuditDue, JournalError> {
        let read = audit::due(&self.pools().recovery_pool, before, most);
        bounded(self.look_up_within(), read).await
    }

    async fn purge_audit(&self, due: &AuditDue) -> Result<(), JournalError> {
        let deletion = audit::deletion(&self.pools().recovery_pool, due);
        self.delete(vec![deletion]).await.map(|_| ())
    }

    async fn jobs_due(&self, kept: &JobsKept, most: u32) -> Result<JobsDue, JournalError> {
        let read = jobs::due(&self.pools().recovery_pool, kept, most);
        bounded(self.look_up_within(), read).await
    }

    async fn purge_jobs(&self, due: &JobsDue) -> Result<(), JournalError> {
        match jobs::deletion(&self.pools().recovery_pool, due) {
            Some(deletion) => self.delete(vec![deletion]).await.map(|_| ()),
            None => Ok(()),
        }
    }
}
