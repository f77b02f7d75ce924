//! Rows in a database: read through sea-orm, written by `writing`. SQLite so far: what another
//! database says in other words stands in `connect`, `writing`, `statements` and `retention`.

mod address;
mod commit;
mod connect;
mod each;
mod entities;
mod file_system;
mod incarnation;
mod list;
mod lock;
mod newest;
mod read;
mod retention;
mod rows;
mod same_file;
mod schema;
mod statements;
mod summary;
#[cfg(test)]
mod tests;
mod writing;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use sea_orm::DatabaseConnection;
use tercet_engine::{Happening, Load, Stored};
use tercet_wire::{Gid, Incarnation, ListQuery, Page, SummaryView, Wall};

pub(super) use self::address::Address;
pub use self::file_system::untrusted_file_system;
use self::lock::FileLock;
use self::same_file::SameFile;
pub use self::schema::{migrate_up, migration_status};
pub use self::statements::put_together;
use super::batch::Batch;
use super::error::JournalError;
use super::life::Life;
use super::meters::StatementMeters;
use super::settings::JournalSettings;
use super::store::{CommitError, Due, Most, Place, Store};
use super::summary::JournalSummary;
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
    writing: Mutex<Option<Connection>>,
    /// What the node itself reads: loads, sweeps, recovery, what is past its retention.
    reading: DatabaseConnection,
    /// What people read: lists, histories, counts. However slow these are, the node's own
    /// reads do not wait for them.
    showing: DatabaseConnection,
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
        let writing = writing::open(address)?;
        tercet_migrations::up(&starting).await.map_err(JournalError::Migration)?;
        let last_written = incarnation::register(&starting, settings, started_at).await?;
        let reading = connect::reading(address, OWN_READS).await?;
        let showing = connect::reading(address, settings.read_connections).await?;
        connect::discard(starting).await;
        let path = address.path();
        let of_path = |source| JournalError::File { path: path.to_owned(), source };
        let file = SameFile::of(path).map_err(of_path)?;
        Ok(Self {
            file,
            address: address.clone(),
            incarnation: settings.incarnation,
            writing: Mutex::new(Some(writing)),
            reading,
            showing,
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
        let mut slot = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => writing::open(&self.address)?,
        };
        let done = work(&mut connection)?;
        *slot = Some(connection);
        Ok(done)
    }
}

#[async_trait]
impl Store for Database {
    async fn commit(&self, batch: &Batch) -> Result<Vec<Life>, CommitError> {
        let taken = self.write(|connection| {
            commit::commit(connection, self.incarnation, batch, &self.meters)
        })?;
        // Asked afterwards, since only then is it known where it went. Whatever is wrong, the
        // batch will be found written when the file is back.
        self.file.check().map_err(CommitError::Again)?;
        Ok(taken)
    }

    async fn load(&self, gids: &[Gid]) -> Result<Vec<(Gid, Load)>, JournalError> {
        read::load(&self.reading, gids, self.page_bytes).await
    }

    async fn unfinished(
        &self,
        after: Option<&Gid>,
        limit: u32,
    ) -> Result<Vec<Result<Stored, Unreadable>>, JournalError> {
        read::unfinished(&self.reading, self.incarnation, after, limit, self.page_bytes).await
    }

    async fn sweep(&self, after: Option<&Gid>, limit: u32) -> Result<Vec<Gid>, JournalError> {
        read::sweep(&self.reading, self.incarnation, after, limit).await
    }

    async fn summary(&self) -> Result<JournalSummary, JournalError> {
        summary::summary(&self.showing).await
    }

    fn last_written(&self) -> Option<Wall> {
        self.last_written
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        list::page(&self.showing, query).await
    }

    async fn history(
        &self,
        gid: &Gid,
        after: u32,
        limit: u32,
    ) -> Result<Vec<Happening>, JournalError> {
        read::history(&self.showing, gid, after, limit).await
    }

    async fn count_finished(&self) -> Result<u64, JournalError> {
        retention::count_finished(&self.reading).await
    }

    async fn due_for_stripping(
        &self,
        after: Option<&Place>,
        finished_before: Wall,
        most: Most,
    ) -> Result<Due, JournalError> {
        retention::due_for_stripping(&self.reading, after, finished_before, most).await
    }

    async fn due_for_forgetting(
        &self,
        finished_before: Wall,
        most: Most,
    ) -> Result<Due, JournalError> {
        retention::due_for_forgetting(&self.reading, finished_before, most).await
    }

    async fn strip(&self, due: &Due) -> Result<(), JournalError> {
        self.write(|connection| retention::strip(connection, due))
    }

    async fn forget(&self, due: &Due) -> Result<u64, JournalError> {
        self.write(|connection| retention::forget(connection, due))
    }

    async fn close(&self) {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        let all = async {
            tokio::join!(
                connect::discard(self.reading.clone()),
                connect::discard(self.showing.clone())
            );
        };
        if tokio::time::timeout(CLOSING, all).await.is_err() {
            // They have only read, and end with the process.
            tracing::warn!("the database is let go of while it is being read");
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
