//! Rows in a database: read through sea-orm, written by `writer`. SQLite so far: what another
//! database says in other words stands in `connect`, `writer`, `statements` and `retention`.

mod address;
mod commit;
mod connect;
mod entities;
mod file_system;
mod incarnation;
mod lenient_rows;
mod list;
mod list_query;
mod lock;
mod read;
mod retention;
mod rows;
mod same_file;
mod schema;
mod statements;
mod summary;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use sea_orm::DatabaseConnection;
use tercet_engine::{HistoryEvent, Load, StoredTransaction};
use tercet_wire::{Gid, Incarnation, ListQuery, Page, SummaryView, Wall};

pub(super) use self::address::Address;
pub use self::file_system::untrusted_file_system;
use self::lock::FileLock;
use self::same_file::SameFile;
pub use self::schema::{migrate_up, migration_status};
pub use self::statements::put_together;
use super::batch::Batch;
use super::error::JournalError;
use super::meters::StatementMeters;
use super::settings::JournalSettings;
use super::store::{CommitError, Keyset, PurgeBatch, PurgeLimits, Store};
use super::summary::JournalSummary;
use super::transaction_key::TransactionKey;
use super::unreadable::Unreadable;

/// The node's own reads at once: the reader's, and the retention's.
const OWN_READS: u32 = 2;

/// How long reads under way are waited for when the journal is closed.
const CLOSING: Duration = Duration::from_millis(500);

/// Rows in a database.
pub(super) struct Database {
    address: Address,
    incarnation: Incarnation,
    /// The one connection that writes. It is taken out while it is used and put back only
    /// when all went well, so that whatever is half done on it ends with it.
    writer: Mutex<Option<Connection>>,
    /// What the node itself reads: loads, sweeps, recovery, what is past its retention.
    recovery_pool: DatabaseConnection,
    /// What people read: lists, histories, counts. However slow these are, the node's own
    /// reads do not wait for them.
    query_pool: DatabaseConnection,
    page_bytes: u64,
    file: SameFile,
    last_written: Option<Wall>,
    meters: StatementMeters,
    /// Held until the journal is closed: no other process may use the file.
    lock: Mutex<Option<FileLock>>,
}

impl Database {
    /// Opens the database for one incarnation.
    pub(super) async fn open(
        address: &Address,
        settings: &JournalSettings,
        started_at: Wall,
    ) -> Result<Self, JournalError> {
        let lock = FileLock::take(address)?;
        let database = Self::open_unlocked(address, settings, started_at).await?;
        Ok(Self { lock: Mutex::new(Some(lock)), ..database })
    }

    /// As `open`, without keeping other processes out.
    pub(super) async fn open_unlocked(
        address: &Address,
        settings: &JournalSettings,
        started_at: Wall,
    ) -> Result<Self, JournalError> {
        let starting = connect::starting(address).await?;
        // Before anything is written: it refuses a database that would forget.
        let writer = writer::open(address)?;
        tercet_migrations::up(&starting).await.map_err(JournalError::Migration)?;
        let last_written = incarnation::register(&starting, settings, started_at).await?;
        let recovery_pool = connect::recovery_pool(address, OWN_READS).await?;
        let query_pool = connect::recovery_pool(address, settings.read_connections).await?;
        connect::discard(starting).await;
        let path = address.path();
        let of_path = |source| JournalError::File { path: path.to_owned(), source };
        let file = SameFile::of(path).map_err(of_path)?;
        Ok(Self {
            file,
            address: address.clone(),
            incarnation: settings.incarnation,
            writer: Mutex::new(Some(writer)),
            recovery_pool,
            query_pool,
            page_bytes: settings.page_bytes,
            last_written,
            meters: StatementMeters::register(),
            lock: Mutex::new(None),
        })
    }

    /// Works on the connection that writes, and makes a new one after any failure.
    fn write<T, E: From<JournalError>>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut slot = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => writer::open(&self.address)?,
        };
        let done = work(&mut connection)?;
        *slot = Some(connection);
        Ok(done)
    }
}

#[async_trait]
impl Store for Database {
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError> {
        let taken = self.write(|connection| {
            commit::commit(connection, self.incarnation, batch, &self.meters)
        })?;
        // Asked afterwards, since only then is it known where it went. Whatever is wrong, the
        // batch will be found written when the file is back.
        self.file.check().map_err(CommitError::Again)?;
        Ok(taken)
    }

    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError> {
        read::load(&self.recovery_pool, gids, self.page_bytes).await
    }

    async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<StoredTransaction, Unreadable>>, JournalError> {
        read::unfinished(&self.recovery_pool, self.incarnation, after, limit, self.page_bytes).await
    }

    async fn sweep(&self, after: Option<&Gid>, limit: u32) -> Result<Vec<Gid>, JournalError> {
        read::sweep(&self.recovery_pool, self.incarnation, after, limit).await
    }

    async fn summary(&self) -> Result<JournalSummary, JournalError> {
        summary::summary(&self.query_pool).await
    }

    fn last_written(&self) -> Option<Wall> {
        self.last_written
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        list::page(&self.query_pool, query).await
    }

    async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<HistoryEvent>, JournalError> {
        read::history(&self.query_pool, gid, after, limit).await
    }

    async fn count_finished(&self) -> Result<u64, JournalError> {
        retention::count_finished(&self.recovery_pool).await
    }

    async fn due_for_pruning(
        &self,
        after: Option<&Keyset>,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        retention::due_for_pruning(&self.recovery_pool, after, finished_before, most).await
    }

    async fn due_for_purging(
        &self,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> Result<PurgeBatch, JournalError> {
        retention::due_for_purging(&self.recovery_pool, finished_before, most).await
    }

    async fn prune(&self, due: &PurgeBatch) -> Result<(), JournalError> {
        self.write(|connection| retention::prune(connection, due))
    }

    async fn purge(&self, due: &PurgeBatch) -> Result<u64, JournalError> {
        self.write(|connection| retention::purge(connection, due))
    }

    async fn close(&self) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let all = async {
            tokio::join!(
                connect::discard(self.recovery_pool.clone()),
                connect::discard(self.query_pool.clone())
            );
        };
        if tokio::time::timeout(CLOSING, all).await.is_err() {
            // They have only read, and end with the process.
            tracing::warn!(
                event = "database_closed_while_read",
                "the database is let go of while it is being read"
            );
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
