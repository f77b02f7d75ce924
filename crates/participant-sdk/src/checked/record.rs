//! The row that says whether the initiator's transaction has committed.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use tercet_wire::Gid;
use tokio::sync::Semaphore;

use crate::guard::patience;
use crate::guard::schema;
use crate::guard::store::ROUND_PAUSE;
use crate::guard::write_queue::WriteQueue;
use crate::sql::statement;

/// What is written of a gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The initiator's transaction has committed.
    Done,
    /// It was asked for first: it never will.
    Never,
}

impl Mark {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Never => "never",
        }
    }
}

/// Why an initiator's transaction must be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    /// It comes too late: the coordinator has asked, was told that it had not happened, and cancels.
    #[error("{0} was asked for before this came, and is being cancelled")]
    TooLate(Gid),
    /// Another SQL transaction has done it: what is to be done once must not be done again.
    #[error("{0} was done before")]
    Before(Gid),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The initiator's side of `check`: whether its own SQL transaction has committed, told truly to the coordinator
/// that asks for it at the deadline of an open transaction.
///
/// The initiator begins an open transaction with `check` set to where [`router`](Self::router) is served, does its own
/// work, and calls [`record`](Self::record) in the same SQL transaction. Whether it then asks for confirm, or dies
/// before it can, makes no difference: who asks finds the row.
///
/// ```no_run
/// use axum::Router;
/// use sea_orm::{ConnectionTrait, Database, TransactionTrait};
/// use tercet_participant::{Checked, Gid};
///
/// # async fn place(gid: Gid) -> Result<(), Box<dyn std::error::Error>> {
/// let db = Database::connect("sqlite://orders.db?mode=rwc").await?;
/// let checked = Checked::new(db.clone());
/// checked.migrate().await?;
/// // Begun with "check": "http://orders.internal:7400/check"
/// let app: Router = Router::new().nest("/check", checked.router());
///
/// let tx = db.begin().await?;
/// tx.execute_unprepared("INSERT INTO orders (number) VALUES (17)").await?;
/// checked.record(&tx, &gid).await?; // an error here drops `tx`, which rolls it back
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// A gid stands for one deed and is not used again: the row would speak of the deed before.
#[derive(Debug, Clone)]
pub struct Checked {
    pub(super) db: DatabaseConnection,
    pub(super) queue: WriteQueue,
    /// One for each question that may be waiting for the initiator's transaction in the database.
    pub(super) seats: Arc<Semaphore>,
}

impl Checked {
    /// On this database, which must be the one that the initiator's own work is in.
    #[must_use]
    pub fn new(db: DatabaseConnection) -> Self {
        let queue = WriteQueue::of(&db);
        let seats = Arc::new(Semaphore::new(patience::seats(&db)));
        Self { db, queue, seats }
    }

    /// Creates the table, `tercet_checked`, where it is missing. Safe to repeat, and for several processes at once.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        schema::make(&self.db, create(self.db.get_database_backend()), ROUND_PAUSE).await
    }

    /// Writes, in the SQL transaction that does the initiator's own work, that it was done. If that commits, the
    /// global transaction will be confirmed; if it does not, cancelled.
    ///
    /// Call it last: whoever asks meanwhile waits for this row until the SQL transaction has ended.
    ///
    /// # Errors
    /// The SQL transaction must be rolled back: it comes too late, or another one was before it. See [`NotRecorded`].
    pub async fn record(&self, tx: &DatabaseTransaction, gid: &Gid) -> Result<(), NotRecorded> {
        if insert(tx, gid, Mark::Done).await? {
            return Ok(());
        }
        match find(tx, gid).await? {
            Some((Mark::Done, _)) => Err(NotRecorded::Before(gid.clone())),
            // A row that was purged between the two statements was as old as any can be.
            Some((Mark::Never, _)) | None => Err(NotRecorded::TooLate(gid.clone())),
        }
    }
}

/// The row, unless there is one; whether it was written. It waits for whoever is writing the same.
pub(super) async fn insert(tx: &DatabaseTransaction, gid: &Gid, mark: Mark) -> Result<bool, DbErr> {
    let backend = tx.get_database_backend();
    let text = match backend {
        DbBackend::MySql => {
            "INSERT IGNORE INTO tercet_checked (gid, state, asked_at) VALUES (?, ?, {now})"
        }
        _ => {
            "INSERT INTO tercet_checked (gid, state, asked_at) VALUES (?, ?, {now}) \
             ON CONFLICT (gid) DO NOTHING"
        }
    };
    let insert = statement(backend, text, [gid.as_str().into(), mark.as_str().into()]);
    Ok(tx.execute_raw(insert).await?.rows_affected() > 0)
}

/// What is written, and how long ago somebody last asked, in milliseconds. A locking read, which finds what is
/// committed by now, whatever this transaction has seen before.
pub(super) async fn find(
    tx: &DatabaseTransaction,
    gid: &Gid,
) -> Result<Option<(Mark, i64)>, DbErr> {
    let backend = tx.get_database_backend();
    let text = match backend {
        DbBackend::Sqlite => {
            "SELECT state, {now} - asked_at AS ago FROM tercet_checked WHERE gid = ?"
        }
        _ => "SELECT state, {now} - asked_at AS ago FROM tercet_checked WHERE gid = ? FOR UPDATE",
    };
    let found = tx.query_one_raw(statement(backend, text, [gid.as_str().into()])).await?;
    let Some(row) = found else { return Ok(None) };
    let state: String = row.try_get("", "state")?;
    let mark = [Mark::Done, Mark::Never].into_iter().find(|mark| mark.as_str() == state);
    let mark = mark.ok_or_else(|| DbErr::Type(format!("tercet_checked {gid}: state is {state:?}")));
    Ok(Some((mark?, row.try_get("", "ago")?)))
}

fn create(backend: DbBackend) -> &'static [&'static str] {
    const INDEX: &str =
        "CREATE INDEX IF NOT EXISTS tercet_checked_asked_at ON tercet_checked (asked_at)";
    match backend {
        DbBackend::MySql => &["CREATE TABLE IF NOT EXISTS tercet_checked ( \
               gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL, \
               asked_at BIGINT NOT NULL, KEY tercet_checked_asked_at (asked_at)) \
             ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin"],
        DbBackend::Postgres => &[
            "CREATE TABLE IF NOT EXISTS tercet_checked ( \
               gid VARCHAR(128) COLLATE \"C\" NOT NULL PRIMARY KEY, \
               state VARCHAR(5) COLLATE \"C\" NOT NULL, asked_at BIGINT NOT NULL)",
            INDEX,
        ],
        DbBackend::Sqlite | _ => &[
            "CREATE TABLE IF NOT EXISTS tercet_checked ( \
               gid VARCHAR(128) NOT NULL PRIMARY KEY, state VARCHAR(5) NOT NULL, \
               asked_at BIGINT NOT NULL)",
            INDEX,
        ],
    }
}
