//! Connections to SQLite.

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use super::super::error::JournalError;
use super::address::Address;

/// How long a batch waits for a lock that somebody from outside holds. Short: it is submitted
/// again, and meanwhile people are told.
const BATCH_LOCK_WAIT: Duration = Duration::from_millis(200);
/// How long starting up waits for such a lock, which is not tried again.
const START_LOCK_WAIT: Duration = Duration::from_secs(5);
/// How long a read waits. In WAL mode only recovery and the last checkpoint keep readers out.
const READ_LOCK_WAIT: Duration = Duration::from_secs(2);
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Pages in the log before they are copied into the file: fewer and larger copies than by default.
const WAL_PAGES: &str = "4000";
/// Bytes to which the log is cut back after a burst.
const WAL_BYTES_KEPT: &str = "67108864";

/// A connection to start with; makes the file if it is missing.
pub(super) async fn starting(address: &Address) -> Result<DatabaseConnection, JournalError> {
    keeping_its_word(address, START_LOCK_WAIT, true).await
}

/// The one connection that writes. A file that has gone meanwhile is not made anew: an empty
/// one in its place would only hide that.
pub(super) async fn writing(address: &Address) -> Result<DatabaseConnection, JournalError> {
    keeping_its_word(address, BATCH_LOCK_WAIT, false).await
}

async fn keeping_its_word(
    address: &Address,
    lock_wait: Duration,
    make: bool,
) -> Result<DatabaseConnection, JournalError> {
    let connection = connect(address, 1, move |options| {
        options
            .create_if_missing(make)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(lock_wait)
            .pragma("wal_autocheckpoint", WAL_PAGES)
            .pragma("journal_size_limit", WAL_BYTES_KEPT)
            // What a statement may have to take back is kept in memory: a batch is bounded,
            // and a file for it costs an open and an unlink each time.
            .pragma("temp_store", "MEMORY")
    })
    .await?;
    // A file system without shared memory, say, keeps SQLite from switching, and it does not mind.
    expect(&connection, "journal_mode", "wal").await?;
    expect(&connection, "synchronous", "2").await?;
    Ok(connection)
}

/// A pool of connections that read.
pub(super) async fn reading(address: &Address, most: u32) -> Result<DatabaseConnection, DbErr> {
    connect(address, most.max(1), |options| {
        options.create_if_missing(false).busy_timeout(READ_LOCK_WAIT).pragma("query_only", "ON")
    })
    .await
}

/// Ends a connection or a pool of them, with whatever is half done on it.
pub(super) async fn discard(connection: DatabaseConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot close a connection");
    }
}

async fn connect(
    address: &Address,
    most: u32,
    with: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<DatabaseConnection, DbErr> {
    let path = address.path().to_owned();
    // The path is set as it is, below: in a URL it would be unescaped.
    let mut options = ConnectOptions::new("sqlite://path");
    options
        .max_connections(most)
        .connect_timeout(CONNECT_WAIT)
        .acquire_timeout(CONNECT_WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            // Rows refer to each other by gid, and the writer alone sees to it that they fit.
            with(options.filename(&path).foreign_keys(false))
        });
    sea_orm::Database::connect(options).await
}

/// Refuses a connection that would not keep what it acknowledges.
pub(super) async fn expect(
    connection: &DatabaseConnection,
    setting: &'static str,
    value: &str,
) -> Result<(), JournalError> {
    let ask = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {setting}"));
    let row = connection.query_one_raw(ask).await?;
    let found = match &row {
        None => "nothing".to_owned(),
        Some(row) => match row.try_get_by_index::<String>(0) {
            Ok(word) => word,
            Err(_) => row.try_get_by_index::<i64>(0)?.to_string(),
        },
    };
    if found.eq_ignore_ascii_case(value) {
        Ok(())
    } else {
        Err(JournalError::NotDurable { setting, found })
    }
}
