//! Rows in a SQLite file: written from the journal's own thread by a connection of its own
//! (`writer`), read through sea-orm. One process uses a file, kept by a lock beside it.

mod address;
mod claim;
mod commit;
mod connect;
mod dialect;
mod file_system;
mod lock;
mod ownership;
mod restored;
mod same_file;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tercet_migrations::StepStatus;
use tercet_wire::{Incarnation, Wall};
use tokio::runtime::Handle;

pub(crate) use self::address::SqliteFile;
use self::claim::Starting;
use self::dialect::Sqlite;
pub use self::dialect::put_together;
use self::lock::FileLock;
use self::ownership::{APPLICATION_ID, Header, Owned};
use self::restored::Note;
use self::same_file::{Moved, SameFiles};
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
    /// One that never writes. It holds the file from the first moment to the last, so that the
    /// log stays the same file although the one that writes is made anew after a failure.
    keeper: Mutex<Option<Connection>>,
    pools: Pools,
    same_files: SameFiles,
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
        Self::open_with(file, Some(lock), settings, started_at, readers).await
    }

    /// As `open`, without keeping other processes out.
    #[cfg(test)]
    pub(crate) async fn open_unlocked(
        file: &SqliteFile,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Self, JournalError> {
        Self::open_with(file, None, settings, started_at, readers).await
    }

    async fn open_with(
        file: &SqliteFile,
        mut lock: Option<FileLock>,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Self, JournalError> {
        let starting = connect::starting(file).await?;
        // Before anything is written: it refuses a database that would forget.
        let writer = writer::open(file)?;
        let keeper = writer::open_to_keep(file)?;
        if let Some(lock) = &lock {
            mark(&starting, lock.owned()).await?;
        }
        tercet_migrations::up(&starting).await.map_err(JournalError::Migration)?;
        if let Some(lock) = &mut lock {
            take_over(&starting, lock, settings.incarnation)
                .await?
                .map_err(|source| JournalError::File { path: file.lock_path(), source })?;
        }
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
        let same_files = SameFiles::of(path, &file.wal_path()).map_err(of_path)?;
        Ok(Self {
            same_files,
            keeper: Mutex::new(Some(keeper)),
            file: file.clone(),
            incarnation: settings.incarnation,
            writer: Mutex::new(Some(writer)),
            pools,
            last_written,
            meters: StatementMeters::register(),
            lock: Mutex::new(lock),
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
            None => {
                // A new one would write into whatever has taken the files' places.
                self.check().map_err(|why| JournalError::Moved { why })?;
                writer::open(&self.file)?
            }
        };
        let done = work(&mut connection)?;
        *slot = Some(connection);
        Ok(done)
    }

    /// Looks whether the files are still where they were.
    ///
    /// # Errors
    /// They are not; in words.
    fn check(&self) -> Result<(), String> {
        match self.same_files.check() {
            Ok(()) => Ok(()),
            Err(Moved::Database(why)) => Err(why),
            Err(Moved::Log(why)) => {
                self.save_from_log();
                Err(why)
            }
        }
    }

    /// Copies into the database what was committed to a log that nobody will find again: it was
    /// acknowledged while all was well. The connection still has the log that is gone.
    fn save_from_log(&self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.as_ref()
            && let Err(error) = writer::copy_log(keeper)
        {
            tracing::warn!(event = "log_not_saved", %error, "cannot copy a log that is gone into the database; it is tried again");
        }
    }
}

/// Says in the file's header that it is ours, before anything is made in it.
async fn mark(starting: &DatabaseConnection, owned: Owned) -> Result<(), JournalError> {
    match owned {
        Owned::Ours => {}
        Owned::Nobodys | Owned::OursUnmarked => {
            let sql = format!("PRAGMA application_id = {APPLICATION_ID}");
            starting.execute_unprepared(&sql).await?;
        }
    }
    Ok(())
}

/// Writes into the file's header and beside it that this life has it now. Until the header is
/// known to lie in the file itself, and not in its log alone, the life before may be found there.
async fn take_over(
    starting: &DatabaseConnection,
    lock: &mut FileLock,
    life: Incarnation,
) -> Result<std::io::Result<()>, JournalError> {
    let header = |lock: &FileLock| Header::read(lock.database()).ok().flatten();
    // Positive, as SQLite shows it, and never what a file has that nobody had.
    let life = (u32::try_from(life.0 & 0x7fff_ffff).unwrap_or(1)).max(1);
    let before = header(lock);
    let note = Note {
        lives: vec![before.map_or(0, |header| header.user_version), life],
        schema_changes: before.map_or(0, |header| header.schema_changes),
    };
    if let Err(error) = lock.note(&note) {
        return Ok(Err(error));
    }
    starting.execute_unprepared(&format!("PRAGMA user_version = {life}")).await?;
    starting.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await?;
    match header(lock) {
        Some(Header { user_version, schema_changes, .. }) if user_version == life => {
            Ok(lock.note(&Note { lives: vec![life], schema_changes }))
        }
        _ => Ok(Ok(())),
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
        self.check().map_err(CommitError::Again)?;
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

    fn is_intact(&self) -> bool {
        self.check().is_ok()
    }

    async fn close(&self) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.pools.close().await;
        // Last, since it copies the log into the database.
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
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
