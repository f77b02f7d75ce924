//! What nodes that share a database do with each other's rows.

use async_trait::async_trait;
use sea_orm::{DatabaseConnection, Statement};
use tercet_engine::{Chunk, Leave, LifeRow, LifeState};
use tercet_wire::{Gid, Incarnation};

use super::address::Address;
use super::server::{Server, Session};
use super::store::{SharedStore, TURN_WITHIN, writer};
use super::work::Submit;
use crate::error::JournalError;
use crate::sql::{Dialect, LifeOfNode, SharedDialect, SqlStore, bounded, lives, read};
use crate::store::{Cluster, CommitError};

#[async_trait]
impl<S: Server> Cluster for SharedStore<S> {
    async fn take_over(&self, chunk: &Chunk) -> Result<Vec<Gid>, CommitError> {
        self.write(Submit { own: self.incarnation, what: chunk, meters: &self.meters }).await
    }

    async fn leave(&self, leave: &Leave) -> Result<(), CommitError> {
        self.write(Submit { own: self.incarnation, what: leave, meters: &self.meters }).await
    }

    async fn lives(&self) -> Result<Vec<LifeRow>, JournalError> {
        let rows = bounded(self.read_within(), all::<S>(&self.looks)).await?;
        let on = self.looks.get_database_backend();
        if let Err(error) = self.standing.seen::<S>(&self.at, on, &rows).await {
            // The next look tries again; until then all stands where every node finds it.
            tracing::warn!(
                event = "rows_stand_under_gids",
                error = &error as &dyn std::error::Error,
                "programs that would not find rows under instances are not kept out yet"
            );
        }
        let row = |row: LifeOfNode| {
            // A state that this program has no word for is a newer one's, whose life it is to
            // judge: it is neither suspected here nor counted among the survivors.
            let state = LifeState::parse(&row.state)?;
            let (incarnation, batch_no) = (Incarnation(row.incarnation), row.batch_no);
            Some(LifeRow { incarnation, node_id: row.node_id, state, batch_no })
        };
        Ok(rows.into_iter().filter_map(row).collect())
    }

    async fn mark_fenced(&self, dead: Incarnation, seen: i64) -> Result<bool, JournalError> {
        mark_fenced::<S>(&self.at, dead, seen).await
    }

    async fn driven_by(
        &self,
        dead: Incarnation,
        undecided: bool,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Gid>, JournalError> {
        let pool = &self.pools().recovery_pool;
        bounded(self.read_within(), read::driven_by(pool, dead, undecided, after, limit)).await
    }

    async fn orphans(&self, after: Option<Incarnation>) -> Result<Vec<Incarnation>, JournalError> {
        let pool = &self.pools().recovery_pool;
        bounded(self.look_up_within(), read::orphans(pool, S::DIALECT, after)).await
    }

    async fn urls(&self) -> Result<Vec<(Incarnation, String)>, JournalError> {
        let pool = &self.pools().recovery_pool;
        let rows = bounded(self.read_within(), all::<S>(pool)).await?;
        Ok(rows.into_iter().map(|row| (Incarnation(row.incarnation), row.url)).collect())
    }

    async fn shared_secret(&self, fresh: &str) -> Result<String, JournalError> {
        alone::<S>(&self.at, S::DIALECT.keep_setting(read::SECRET, fresh)).await?;
        let pool = &self.pools().recovery_pool;
        let secret = bounded(self.read_within(), read::setting(pool, read::SECRET)).await?;
        // It was written, by whomever, and nobody deletes it.
        secret.ok_or(JournalError::NoSecret)
    }

    async fn remove(&self, dead: Incarnation) -> Result<bool, JournalError> {
        Ok(alone::<S>(&self.at, S::DIALECT.remove(dead)).await? > 0)
    }
}

/// The rows of all lives, of one moment: it is one statement.
pub(super) async fn all<S: Server>(
    pool: &DatabaseConnection,
) -> Result<Vec<LifeOfNode>, JournalError> {
    Ok(lives(pool, S::DIALECT.nodes()).await?)
}

/// The marker.
pub(super) async fn mark_fenced<S: Server>(
    at: &Address,
    dead: Incarnation,
    seen: i64,
) -> Result<bool, JournalError> {
    Ok(alone::<S>(at, S::DIALECT.mark(dead, seen)).await? > 0)
}

/// Executes one statement as a transaction of its own, and says how many rows it changed. It has a
/// connection of its own, which is set and checked as the writer's are: it is needed when a life
/// ends, which is seldom; the writer's has its batches to write, and readers write nothing.
pub(super) async fn alone<S: Server>(
    at: &Address,
    statement: Statement,
) -> Result<u64, JournalError> {
    let mut session = writer::<S>(at).await?;
    let changed = async {
        let changed = session.execute(&statement).await?;
        session.end().await;
        Ok(changed)
    };
    let changed = tokio::time::timeout(TURN_WITHIN, changed).await;
    changed.unwrap_or(Err(JournalError::TooSlow { within: TURN_WITHIN }))
}
