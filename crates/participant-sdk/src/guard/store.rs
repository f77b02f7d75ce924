//! The guard's rule made atomic: one SQL transaction holds the guard's row and the
//! business change.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tercet_wire::{Backoff, Op};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::contention::{Contention, contention, contention_behind};
use super::purge::TOUCH_AFTER_MS;
use super::row::{self, Row};
use super::table::{Action, Arrival, Contradiction, State, decide, is_long_past};
use super::turn::TURN_PATIENCE;
use super::write_queue::WriteQueue;
use super::{patience, schema};
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

/// Tells, once, that a call has begun.
#[derive(Debug)]
pub(crate) struct Begins(Option<oneshot::Sender<()>>);

impl Begins {
    /// One that tells, and where it is heard.
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>) {
        let (tell, told) = oneshot::channel();
        (Self(Some(tell)), told)
    }

    fn tell(&mut self) {
        if let Some(tell) = self.0.take() {
            // Whether anybody still listens makes no difference.
            let _ = tell.send(());
        }
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
        Self { db, isolation: None, seats, queue }
    }

    /// Runs calls at this isolation level instead of the database's default. The guard is right
    /// from READ COMMITTED upwards; what the business code needs is for its author to say.
    #[must_use]
    pub fn isolation(self, level: IsolationLevel) -> Self {
        Self { isolation: Some(level), ..self }
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
    /// write, for as long as that takes; it tells when it need not wait any more.
    pub(crate) async fn run<P: Participant>(
        &self,
        participant: &P,
        context: &Context,
        body: &[u8],
        mut begins: Begins,
    ) -> Result<Done, NotDone> {
        let _permit = self.queue.join().await.map_err(|_| NotDone::Busy)?;
        if !self.queue.is_for_one() {
            begins.tell();
        }
        let mut round = 1;
        loop {
            let error = match self.run_once(participant, context, body, &mut begins).await {
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
        begins: &mut Begins,
    ) -> Result<Done, NotDone> {
        let (db, seat) = self.begin(context).await?;
        begins.tell();
        let now = clock::late();
        let wanted = State::after(context.op);
        let row = record(&db, context, wanted, now.0).await?;
        drop(seat);
        let recorded = row.map(|row| row.recorded);
        let arrival = Arrival {
            op: context.op,
            legs: context.legs,
            instance: context.instance,
            long_past: is_long_past(context.deadline, clock::early()),
        };
        let mut result = None;
        // What a round before this one wanted to answer was rolled back with it.
        drop(context.results.take_answer());
        match decide(recorded, arrival) {
            Action::Refuse(why) => {
                note_call(db, context, row, now.0).await?;
                return Err(NotDone::Contradiction(why));
            }
            Action::Repeat => {
                // The coordinator may have lost the answer before it was durable, and others build on
                // what it says: it is the same again.
                let result = match context.op {
                    Op::Try => row::find_result(&db, context).await?,
                    Op::Confirm | Op::Cancel => None,
                };
                note_call(db, context, row, now.0).await?;
                let state = recorded.map_or(wanted, |recorded| recorded.state);
                return Ok(Done { state, repeated: true, result });
            }
            Action::Record if P::CANCELS_EMPTY => {
                // A payload that cannot be read now could not be read by a Try either.
                if let Ok(payload) = serde_json::from_slice(body) {
                    let context = Context { empty: true, ..context.clone() };
                    mark(&db).await?;
                    participant.cancel(&db, &context, payload).await?;
                    still_stands(&db, WrittenAfter::Nothing).await?;
                }
            }
            Action::Record => {}
            Action::Run => {
                let payload = serde_json::from_slice(body)?;
                mark(&db).await?;
                match context.op {
                    Op::Try => {
                        participant.try_(&db, context, payload).await?;
                        result = context.results.take_answer();
                    }
                    Op::Confirm => participant.confirm(&db, context, payload).await?,
                    Op::Cancel => participant.cancel(&db, context, payload).await?,
                }
                if let Some(recorded) = recorded {
                    still_stands(&db, WrittenAfter::ItsRow).await?;
                    // The row is locked, so it can have moved only where the lock is not
                    // honoured; then this call must not have run.
                    if !row::replace(&db, context, recorded.state, wanted, now.0).await? {
                        return Err(NotDone::InProgress);
                    }
                } else {
                    still_stands(&db, WrittenAfter::Nothing).await?;
                }
            }
        }
        if let Some(result) = &result {
            row::keep_result(&db, context, result).await?;
        }
        db.commit().await?;
        Ok(Done { state: wanted, repeated: false, result })
    }

    /// Begins, with a seat for a call that may have to wait for its row: a Cancel, whose Try may still
    /// be running in another process, or a repeat. The first Try or Confirm of a branch meets nobody, and
    /// is not to stand behind those.
    ///
    /// On SQLite only the first in the queue comes here, and waits for those who read and for other processes as
    /// long as SQLite and the pool are told to. If it gave up and another began anew, then on a machine
    /// that is slow enough nobody would ever get through.
    async fn begin(
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
    fn contention(&self) -> Option<Contention> {
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

/// Records the call as done, unless something is recorded of its branch: then gives that. Waits for another
/// call of the branch, a bounded time.
async fn record(
    db: &DatabaseTransaction,
    context: &Context,
    state: State,
    now_ms: i64,
) -> Result<Option<Row>, NotDone> {
    patience::begin(db).await?;
    let found = async {
        if row::insert(db, context, state, now_ms).await? {
            return Ok(None);
        }
        match row::find(db, context).await? {
            Some(row) => Ok(Some(row)),
            // Purged between the two statements.
            None => Err(NotDone::InProgress),
        }
    }
    .await;
    let ended = patience::end(db).await;
    match found {
        // Whoever holds the row is at work on this very branch.
        Err(NotDone::Failure(Failure::Database(error)))
            if contention(&error) == Some(Contention::Waited) =>
        {
            Err(NotDone::InProgress)
        }
        Err(error) => Err(error),
        Ok(found) => Ok(ended.map(|()| found)?),
    }
}

/// Ends with the transaction in which it is set, and so tells that it is still the same one.
const MARK: &str = "SAVEPOINT tercet";
const RELEASE_MARK: &str = "RELEASE SAVEPOINT tercet";

/// What the guard writes when business code has run.
#[derive(Clone, Copy)]
enum WrittenAfter {
    ItsRow,
    Nothing,
}

/// Goes before business code, where only so it can be found out that the transaction was lost.
async fn mark(db: &DatabaseTransaction) -> Result<(), DbErr> {
    match db.get_database_backend() {
        DbBackend::MySql => db.execute_unprepared(MARK).await.map(drop),
        _ => Ok(()),
    }
}

/// Fails if business code has let an error pass by which the transaction was lost. InnoDB rolls the whole of
/// it back in a deadlock, and goes on outside it. PostgreSQL answers every statement with an error from then
/// on, which a write of ours brings to light, but the COMMIT with a rollback that no driver tells of.
async fn still_stands(db: &DatabaseTransaction, written_after: WrittenAfter) -> Result<(), DbErr> {
    match (db.get_database_backend(), written_after) {
        (DbBackend::MySql, _) => db.execute_unprepared(RELEASE_MARK).await.map(drop),
        (DbBackend::Postgres, WrittenAfter::Nothing) => {
            db.execute_unprepared("SELECT 1").await.map(drop)
        }
        _ => Ok(()),
    }
}

/// Ends a transaction in which nothing was run. That the branch was called is written down now and then,
/// since its row is kept for as long as it is called.
async fn note_call(
    db: DatabaseTransaction,
    context: &Context,
    row: Option<Row>,
    now_ms: i64,
) -> Result<(), DbErr> {
    match row {
        Some(row)
            if row.recorded.instance == context.instance
                && now_ms.saturating_sub(row.updated_at_ms) >= TOUCH_AFTER_MS =>
        {
            row::touch(&db, context, now_ms).await?;
            db.commit().await
        }
        // An insert may have gone before, of a call that is refused.
        Some(_) | None => db.rollback().await,
    }
}
