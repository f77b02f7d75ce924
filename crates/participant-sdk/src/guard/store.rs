//! The guard's rule made atomic: one SQL transaction holds the guard's row and the
//! business change.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tercet_wire::{Backoff, Op};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::contention::{Contention, contention, contention_behind};
use super::group::InGroup;
use super::miscounted::commit;
use super::table::{Contradiction, State};
use super::turn::TURN_PATIENCE;
use super::write_queue::WriteQueue;
use super::{call, patience, schema};
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::participant::Participant;

/// How long a Try or Confirm waits for a connection: less than the coordinator waits for its answer by
/// default (3 s).
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);
/// How often a call is run whose SQL transaction lost against another one.
pub(super) const ROUNDS: u32 = 6;
/// The pauses between rounds: others need milliseconds to finish.
pub(crate) const ROUND_PAUSE: Backoff =
    Backoff { first: Duration::from_millis(10), cap: Duration::from_millis(100) };

/// The guard's place in a participant's own database: SQLite, PostgreSQL, MySQL or MariaDB.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) db: DatabaseConnection,
    isolation: Option<IsolationLevel>,
    /// Whether calls that come together share a commit.
    groups: bool,
    /// One for each call that may be waiting for its row in the database.
    seats: Arc<Semaphore>,
    /// Where this process's calls wait for the right to write.
    pub(crate) queue: WriteQueue,
}

/// How a call ended that was done, now or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// What is recorded of the branch.
    pub(crate) state: State,
    /// Whether it was done before and nothing was run now.
    pub(crate) repeated: bool,
    /// What a Try is answered with, where business code says so.
    pub(crate) result: Option<String>,
}

/// Why a call was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    /// The guard forbids it.
    #[error("{}", .0.detail())]
    Contradiction(Contradiction),
    /// The payload is not what the business code reads.
    #[error("{0}")]
    Payload(#[from] serde_json::Error),
    /// The business code or the database failed.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// No connection, or on SQLite no right to write or no place in its queue, was to be had.
    #[error("others were using the database for as long as a call may wait")]
    Busy,
    /// Another call of the branch is being worked on elsewhere, or others kept getting in the way.
    #[error("others were writing for as long as a call may wait")]
    InProgress,
}

/// Tells whether a call waits for others: for its turn to write, or for the commit that it shares.
#[derive(Debug)]
pub(crate) struct Waits(watch::Sender<bool>);

impl Waits {
    /// One that waits, and where it is heard.
    pub(crate) fn new() -> (Self, watch::Receiver<bool>) {
        let (tell, told) = watch::channel(true);
        (Self(tell), told)
    }

    /// It has begun.
    pub(super) fn no_more(&self) {
        self.0.send_replace(false);
    }

    /// It is done as far as it goes.
    pub(super) fn again(&self) {
        self.0.send_replace(true);
    }
}

impl From<DbErr> for NotDone {
    fn from(error: DbErr) -> Self {
        Self::Failure(Failure::Database(error))
    }
}

impl Store {
    /// The guard on this database, which must be the one the business code writes to.
    #[must_use]
    pub fn new(db: DatabaseConnection) -> Self {
        let seats = Arc::new(Semaphore::new(patience::seats(&db)));
        let queue = WriteQueue::of(&db);
        Self { db, isolation: None, groups: false, seats, queue }
    }

    /// Runs calls at this isolation level instead of the database's default. The guard is right
    /// from READ COMMITTED upwards; what the business code needs is for its author to say.
    #[must_use]
    pub fn isolation(self, level: IsolationLevel) -> Self {
        Self { isolation: Some(level), ..self }
    }

    /// Has calls that wait for SQLite's one writer share an SQL transaction, and so a commit: a group. Each has a savepoint
    /// of its own in it, so that what is refused, fails or panics leaves the others whole, and none is answered before the
    /// commit. If that fails, each is run again by itself. A call that comes alone commits alone. On
    /// other databases, where calls do not wait for each other, it changes nothing.
    ///
    /// A group has at most 64 calls, and lets no further one in when it is 10 ms old. So a call that is done waits for at most
    /// one that is slow; after a second its caller is told that it is in progress. Another process that wants to write
    /// waits for the group.
    ///
    /// Work must not end the SQL transaction (`COMMIT`, `ROLLBACK`), as ever: here the calls before it are run again with it. Nor may it set
    /// a `PRAGMA` that lasts until the transaction's end, such as `defer_foreign_keys`.
    #[must_use]
    pub fn group_commit(self) -> Self {
        Self { groups: true, ..self }
    }

    /// Creates the guard's table, `tercet_guard`, where it is missing. Safe to repeat, and for
    /// several processes at once; call it at every start, or take the statements of docs/guard-sql.md
    /// into your own migrations.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        schema::make_guard(&self.db, ROUND_PAUSE).await
    }

    /// Answers one call: as the guard's table says, and atomically. On SQLite it may have to wait for its turn to
    /// write, or for the commit that it shares, for as long as that takes; it tells when it does.
    pub(crate) async fn run<P: Participant>(
        &self,
        participant: &P,
        context: &Context,
        body: &[u8],
        waits: Waits,
    ) -> Result<Done, NotDone> {
        let _permit = if self.groups && self.queue.is_for_one() {
            match self.run_in_group(participant, context, body, &waits).await? {
                InGroup::Answer(answer) => return answer,
                InGroup::Alone(Some(permit)) => permit,
                InGroup::Alone(None) => self.queue.join_surely().await,
            }
        } else {
            self.queue.join().await.map_err(|_| NotDone::Busy)?
        };
        if !self.queue.is_for_one() {
            waits.no_more();
        }
        let mut round = 1;
        loop {
            let error = match self.run_once(participant, context, body, &waits).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            round += match error.contention() {
                None => return Err(error),
                Some(Contention::Lost) => 1,
                // It has cost its time already.
                Some(Contention::Waited) => 2,
            };
            tracing::debug!(gid = %context.gid, %error, "lost against another call");
            if round > ROUNDS {
                return Err(NotDone::InProgress);
            }
            tokio::time::sleep(ROUND_PAUSE.pause(round, clock::entropy(), None)).await;
        }
    }

    /// One SQL transaction. Every early return drops it, which rolls it back.
    async fn run_once<P: Participant>(
        &self,
        participant: &P,
        context: &Context,
        body: &[u8],
        waits: &Waits,
    ) -> Result<Done, NotDone> {
        let (db, seat) = self.begin(context).await?;
        waits.no_more();
        let now_ms = clock::late().0;
        let row = call::record(&db, context, now_ms).await?;
        drop(seat);
        let settled = call::settle(&db, participant, context, body, (row, now_ms)).await?;
        if !settled.is_kept {
            // An insert may have gone before, of a call that is refused.
            db.rollback().await?;
        } else {
            commit(&self.db, db).await?;
        }
        settled.answer.map_err(NotDone::Contradiction)
    }

    /// Begins, with a seat for a call that may have to wait for its row: a Cancel, whose Try may still
    /// be running in another process, or a repeat. The first Try or Confirm of a branch meets nobody, and
    /// is not to stand behind those.
    ///
    /// On SQLite only the first in the queue comes here, and waits for those who read and for other processes as
    /// long as SQLite and the pool are told to. If it gave up and another began anew, then on a machine
    /// that is slow enough nobody would ever get through.
    pub(super) async fn begin(
        &self,
        context: &Context,
    ) -> Result<(DatabaseTransaction, Option<OwnedSemaphorePermit>), NotDone> {
        if self.queue.is_for_one() {
            return match self.begin_to_write().await {
                Ok(db) => Ok((db, None)),
                Err(DbErr::ConnectionAcquire(_)) => Err(NotDone::Busy),
                Err(error) => Err(error.into()),
            };
        }
        let patience = match context.op {
            Op::Try | Op::Confirm => BEGIN_PATIENCE,
            Op::Cancel => TURN_PATIENCE,
        };
        let may_wait = context.op == Op::Cancel || context.attempt > 1;
        let begun = tokio::time::timeout(patience, async {
            let seat = match may_wait {
                // The seats are never closed; were they, that would be busy enough.
                true => {
                    Some(Arc::clone(&self.seats).acquire_owned().await.map_err(|_| NotDone::Busy)?)
                }
                false => None,
            };
            Ok((self.begin_to_write().await?, seat))
        });
        begun.await.unwrap_or(Err(NotDone::Busy))
    }

    /// Begins with the right to write. On SQLite a transaction that reads first and writes later
    /// can lose that right for good, so it is asked for at once.
    pub(super) async fn begin_to_write(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            isolation_level: self.isolation,
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.db.begin_with_options(options).await
    }
}

impl NotDone {
    /// What of another transaction was in the way, if the same call, run again, may go through.
    pub(super) fn contention(&self) -> Option<Contention> {
        match self {
            Self::Failure(Failure::Database(error)) => contention(error),
            Self::Failure(Failure::Retry { source, after: None }) => {
                contention_behind(source.as_ref())
            }
            Self::Failure(Failure::Retry { after: Some(_), .. } | Failure::Refused { .. })
            | Self::Contradiction(_)
            | Self::Payload(_)
            | Self::Busy
            | Self::InProgress => None,
        }
    }
}
