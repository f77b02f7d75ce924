//! Connections to SQLite, but for the one that writes (`writer`).

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr};

use super::address::SqliteFile;

/// How long starting up waits for such a lock, which is not tried again.
const START_LOCK_WAIT: Duration = Duration::from_secs(5);
/// How long a read waits. In WAL mode only recovery and the last checkpoint keep readers out.
const READ_LOCK_WAIT: Duration = Duration::from_secs(2);
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Bytes of a page of a file that is made. A batch writes each page that it touches, however little of it, and most
/// that it touches are the last of a table or an index.
const PAGE_BYTES: u32 = 2_048;
/// Pages in the log before they are copied into the file: fewer and larger copies than by default.
pub(super) const WAL_PAGES: u32 = 8_000;
/// Bytes to which the log is cut back after a burst.
pub(super) const WAL_BYTES_KEPT: u32 = 64 << 20;

/// A connection to start with; makes the file if it is missing.
pub(super) async fn starting(file: &SqliteFile) -> Result<DatabaseConnection, DbErr> {
    connect(file, 1, |options| {
        options
            .create_if_missing(true)
            .page_size(PAGE_BYTES)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(START_LOCK_WAIT)
            .pragma("wal_autocheckpoint", WAL_PAGES.to_string())
            .pragma("journal_size_limit", WAL_BYTES_KEPT.to_string())
    })
    .await
}

/// A pool of connections that read.
pub(super) async fn recovery_pool(
    file: &SqliteFile,
    most: u32,
) -> Result<DatabaseConnection, DbErr> {
    connect(file, most.max(1), |options| {
        options.create_if_missing(false).busy_timeout(READ_LOCK_WAIT).pragma("query_only", "ON")
    })
    .await
}

async fn connect(
    file: &SqliteFile,
    most: u32,
    with: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<DatabaseConnection, DbErr> {
    let path = file.path().to_owned();
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
