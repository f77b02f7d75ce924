//! Rows in a SQLite file: written from the journal's own thread by a connection of its own
//! (`writer`), read through sea-orm. One process uses a file, kept by a lock beside it.

mod address;
mod backup;
mod claim;
mod commit;
mod connect;
mod copying;
mod dialect;
mod file_system;
mod header;
mod lock;
mod ownership;
mod read_through;
mod restore;
mod restored;
mod same_file;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tercet_engine::{Batch, HoldChange, TransactionKey};
use tercet_migrations::StepStatus;
use tercet_wire::{Incarnation, RowsUnder, Wall};
use tokio::runtime::Handle;

pub(crate) use self::address::SqliteFile;
pub use self::backup::{BackedUp, backup};
use self::claim::Starting;
use self::dialect::Sqlite;
pub use self::dialect::put_together;
use self::header::{mark, take_over};
use self::lock::FileLock;
use self::ownership::look;
pub use self::read_through::{ReadThrough, read_through};
pub use self::restore::{Restored, restore};
use self::restored::{Note, refuse_a_log_of_another_file};
use self::same_file::{Moved, SameFiles, begins_as_a_log};
use crate::error::JournalError;
use crate::meters::StatementMeters;
use crate::settings::JournalSettings;
use crate::sql::{Dialect, FinishedCounts, LifeOfNode, OWN_READS, Pools, SqlStore, discard, lives};
use crate::store::{Claim, Commit, CommitError, Database, Filling, Life, Offline, Store};

/// What is said of a log that somebody has emptied in its place.
const EMPTIED: &str = "the database's log (-wal) was emptied or overwritten beneath the process: what was \
    committed there and not copied into the database yet is lost. Restore a backup, or restart to go on \
    with what the database holds";

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
    log_was_emptied: AtomicBool,
    last_written: Option<Wall>,
    /// Where the rows of what begins stand.
    rows_under: RowsUnder,
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
        let rows_under = match settings.can_go_back {
            true => RowsUnder::Gid,
            false => {
                // Before the first such row: what would not find it cannot use the file any more.
                starting.execute_unprepared(&tercet_migrations::rows_under_instances()).await?;
                RowsUnder::Instance
            }
        };
        let pools = Pools {
            incarnation: settings.incarnation,
            recovery_pool: pool(file, OWN_READS, readers).await?,
            query_pool: pool(file, settings.read_connections, readers).await?,
            page_bytes: settings.page_bytes,
            finished: FinishedCounts::default(),
        };
        discard(starting).await;
        let path = file.path();
        let of_path = |source| JournalError::File { path: path.to_owned(), source };
        let same_files = SameFiles::of(path, &file.wal_path()).map_err(of_path)?;
        Ok(Self {
            same_files,
            log_was_emptied: AtomicBool::new(false),
            keeper: Mutex::new(Some(keeper)),
            file: file.clone(),
            incarnation: settings.incarnation,
            writer: Mutex::new(Some(writer)),
            pools,
            last_written,
            rows_under,
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
        if self.log_was_emptied.load(Ordering::Relaxed) {
            return Err(EMPTIED.to_owned());
        }
        match self.same_files.check() {
            Ok(()) if self.same_files.has_log_shrunk() => self.read_through_log(),
            Ok(()) => Ok(()),
            Err(Moved::Database(why)) => Err(why),
            Err(Moved::Log(why)) => {
                self.save_from_log();
                Err(why)
            }
        }
    }

    /// Looks whether what was committed last can be read: from a log that was emptied it cannot.
    /// Once it was, nothing is copied from it into the database, which would spoil that too.
    fn read_through_log(&self) -> Result<(), String> {
        let moved = |_| JournalError::Moved { why: EMPTIED.to_owned() };
        let begins = begins_as_a_log(&self.file.wal_path()).map_err(moved);
        let read = begins.and_then(|()| {
            let connection = writer::open(&self.file)?;
            let ask = "SELECT COUNT(*) FROM nodes WHERE batch_no >= 0";
            let nodes: i64 = connection.query_row(ask, [], |row| row.get(0))?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Ok(nodes)
        });
        if read.is_ok() {
            return Ok(());
        }
        self.log_was_emptied.store(true, Ordering::Relaxed);
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.as_ref() {
            // It is the last to let go of the file. What cannot be set leaves things as they are.
            let _ = keeper.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        Err(EMPTIED.to_owned())
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

    fn rows_under(&self) -> RowsUnder {
        self.rows_under
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

    async fn offline(&self) -> Result<Offline, JournalError> {
        schema::migrate_up(self).await?;
        let lock = FileLock::take(self)?;
        let connection = connect::starting(self).await?;
        let lives = lives(&connection, Sqlite.nodes()).await?;
        Ok(Offline { connection, lives, _kept: Some(Box::new(lock)) })
    }

    /// The lock, which is held, keeps them out.
    async fn fill(&self) -> Result<Option<Box<dyn Filling>>, JournalError> {
        Ok(None)
    }

    /// The lock, which is held, keeps them out.
    async fn end_lives(&self, seen: &[LifeOfNode]) -> Result<Vec<LifeOfNode>, JournalError> {
        Ok(seen.to_vec())
    }

    /// The lock keeps them out.
    async fn held_by_others(&self) -> Result<Option<HoldChange>, JournalError> {
        Ok(None)
    }

    async fn check(&self) -> Result<(), JournalError> {
        let (_, header) = look(self)?;
        let note = File::open(self.lock_path()).map(Note::read).unwrap_or_default();
        refuse_a_log_of_another_file(self, header, &note)
    }

    fn file(&self) -> Option<&Path> {
        Some(self.path())
    }

    fn untrusted_file_system(&self) -> Option<&'static str> {
        file_system::untrusted_file_system(self)
    }
}
