//! Rows in a SQLite file: written from the journal's own thread by a connection of its own
//! (`writer`), read through sea-orm. One process uses a file, kept by a lock beside it.

mod address;
mod claim;
mod commit;
mod connect;
mod dialect;
mod file_system;
mod lock;
mod same_file;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use sea_orm::{DatabaseConnection, Statement};
use tercet_migrations::StepStatus;
use tercet_wire::{Incarnation, Wall};
use tokio::runtime::Handle;

pub(crate) use self::address::SqliteFile;
use self::claim::Starting;
use self::dialect::Sqlite;
pub use self::dialect::put_together;
use self::lock::FileLock;
use self::same_file::SameFile;
use crate::batch::Batch;
use crate::error::JournalError;
use crate::meters::StatementMeters;
use crate::settings::JournalSettings;
use crate::sql::{Dialect, OWN_READS, Pools, SqlStore, discard};
use crate::store::{Claim, Commit, CommitError, Database, Life, Store};
use crate::transaction_key::TransactionKey;

/// Rows in a SQLite file.
pub(crate) struct SqliteStore {
    file: SqliteFile,
    incarnation: Incarnation,
    /// The one connection that writes. It is taken out while it is used and put back only
    /// when all went well, so that whatever is half done on it ends with it.
    writer: Mutex<Option<Connection>>,
    pools: Pools,
    same_file: SameFile,
    last_written: Option<Wall>,
    meters: StatementMeters,
    /// Held until the journal is closed: no other process may use the file.
    lock: Mutex<Option<FileLock>>,
}

impl SqliteStore {
    /// Opens the file for one incarnation.
    pub(crate) async fn open(
        file: &SqliteFile,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Self, JournalError> {
        let lock = FileLock::take(file)?;
        let store = Self::open_unlocked(file, settings, started_at, readers).await?;
        Ok(Self { lock: Mutex::new(Some(lock)), ..store })
    }

    /// As `open`, without keeping other processes out.
    pub(crate) async fn open_unlocked(
        file: &SqliteFile,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Self, JournalError> {
        let starting = connect::starting(file).await?;
        // Before anything is written: it refuses a database that would forget.
        let writer = writer::open(file)?;
        tercet_migrations::up(&starting).await.map_err(JournalError::Migration)?;
        let last_written = Starting(&starting).claim(&Life::of(settings, started_at)).await?;
        let pools = Pools {
            incarnation: settings.incarnation,
            recovery_pool: pool(file, OWN_READS, readers).await?,
            query_pool: pool(file, settings.read_connections, readers).await?,
            page_bytes: settings.page_bytes,
        };
        discard(starting).await;
        let path = file.path();
        let of_path = |source| JournalError::File { path: path.to_owned(), source };
        let same_file = SameFile::of(path).map_err(of_path)?;
        Ok(Self {
            same_file,
            file: file.clone(),
            incarnation: settings.incarnation,
            writer: Mutex::new(Some(writer)),
            pools,
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
            None => writer::open(&self.file)?,
        };
        let done = work(&mut connection)?;
        *slot = Some(connection);
        Ok(done)
    }
}

/// A pool of connections that read, made on the runtime that will use it.
async fn pool(
    file: &SqliteFile,
    most: u32,
    readers: &Handle,
) -> Result<DatabaseConnection, JournalError> {
    let file = file.clone();
    let made = readers.spawn(async move { connect::recovery_pool(&file, most).await });
    // That runtime has gone, and nobody would read.
    Ok(made.await.map_err(|_| JournalError::Closed)??)
}

#[async_trait]
impl Commit for SqliteStore {
    async fn commit(&self, batch: &Batch) -> Result<Vec<TransactionKey>, CommitError> {
        let taken = self.write(|connection| {
            commit::commit(connection, self.incarnation, batch, &self.meters)
        })?;
        // Asked afterwards, since only then is it known where it went. Whatever is wrong, the
        // batch will be found written when the file is back.
        self.same_file.check().map_err(CommitError::Again)?;
        Ok(taken)
    }

    fn max_binds(&self) -> usize {
        Sqlite::MAX_BINDS
    }
}

#[async_trait]
impl SqlStore for SqliteStore {
    type Dialect = Sqlite;

    fn dialect(&self) -> Sqlite {
        Sqlite
    }

    fn pools(&self) -> &Pools {
        &self.pools
    }

    async fn delete(&self, statements: Vec<Statement>) -> Result<u64, JournalError> {
        self.write(|connection| Ok(writer::execute_all(connection, &statements)?))
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn last_written(&self) -> Option<Wall> {
        self.last_written
    }

    async fn close(&self) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.pools.close().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[async_trait]
impl Database for SqliteFile {
    async fn open(
        &self,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Arc<dyn Store>, JournalError> {
        let store = SqliteStore::open(self, settings, started_at, readers).await?;
        Ok(Arc::new(store))
    }

    async fn migrate_up(&self) -> Result<(), JournalError> {
        schema::migrate_up(self).await
    }

    async fn migration_status(&self) -> Result<Vec<StepStatus>, JournalError> {
        schema::migration_status(self).await
    }

    fn untrusted_file_system(&self) -> Option<&'static str> {
        file_system::untrusted_file_system(self)
    }
}
