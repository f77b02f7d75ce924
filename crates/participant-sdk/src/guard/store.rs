//! The guard's rule made atomic: one SQL transaction holds the guard's row and the
//! business change.

use std::time::Duration;

use sea_orm::sea_query::{Index, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, Schema, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tercet_protocol::{Backoff, Op};

use super::contention::is_contention;
use super::row;
use super::table::{Action, Arrival, Contradiction, Recorded, State, decide, is_long_past};
use super::turn::TURN_PATIENCE;
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::participant::Participant;

/// How long a Try or Confirm waits for the right to write: less than the coordinator waits for
/// its answer by default (3 s).
const BEGIN_PATIENCE: Duration = Duration::from_secs(2);
/// How often a call is run whose SQL transaction lost against another one.
const ROUNDS: u32 = 6;
/// The pauses between rounds: others need milliseconds to finish.
const ROUND_PAUSE: Backoff =
    Backoff { first: Duration::from_millis(10), cap: Duration::from_millis(100) };

/// The guard's place in a participant's own database.
#[derive(Debug, Clone)]
pub struct Store {
    db: DatabaseConnection,
}

/// How a call ended that was done, now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// What is recorded of the branch.
    pub(crate) state: State,
    /// Whether it was done before and nothing was run now.
    pub(crate) repeated: bool,
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
    /// Somebody else is writing.
    #[error("others were writing for as long as a call may wait")]
    Busy,
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
        Self { db }
    }

    /// Creates the guard's table, `tercet_guard`, where it is missing. Safe to repeat; call it at
    /// every start, or take the statement into your own migrations.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        let backend = self.db.get_database_backend();
        let mut table = Schema::new(backend).create_table_from_entity(row::Entity);
        self.db.execute(table.if_not_exists()).await?;
        let by_age = Index::create()
            .name("tercet_guard_updated_at")
            .table(row::Entity)
            .col(row::Column::UpdatedAt)
            .if_not_exists()
            .to_owned();
        self.db.execute(&by_age).await?;
        Ok(())
    }

    /// Answers one call: as the guard's table says, and atomically.
    pub(crate) async fn run<P: Participant>(
        &self,
        participant: &P,
        context: &Context,
        body: &[u8],
    ) -> Result<Done, NotDone> {
        let mut round = 1;
        loop {
            match self.run_once(participant, context, body).await {
                Err(NotDone::Failure(Failure::Database(error)))
                    if is_contention(&error) && round < ROUNDS =>
                {
                    tracing::debug!(gid = %context.gid, round, %error, "run again");
                    tokio::time::sleep(ROUND_PAUSE.pause(round, clock::luck(), None)).await;
                    round += 1;
                }
                settled => return settled,
            }
        }
    }

    /// One SQL transaction. Every early return drops it, which rolls it back.
    async fn run_once<P: Participant>(
        &self,
        participant: &P,
        context: &Context,
        body: &[u8],
    ) -> Result<Done, NotDone> {
        let db = self.begin(context.op).await?;
        let now = clock::now();
        let wanted = State::after(context.op);
        let recorded = record(&db, context, wanted, now.0).await?;
        let arrival = Arrival {
            op: context.op,
            legs: context.legs,
            instance: context.instance,
            long_past: is_long_past(context.deadline, now),
        };
        match decide(recorded, arrival) {
            Action::Refuse(why) => return Err(NotDone::Contradiction(why)),
            Action::Repeat => {
                let state = recorded.map_or(wanted, |recorded| recorded.state);
                db.rollback().await?;
                return Ok(Done { state, repeated: true });
            }
            Action::Record => {}
            Action::Run => {
                let payload = serde_json::from_slice(body)?;
                match context.op {
                    Op::Try => participant.try_(&db, context, payload).await?,
                    Op::Confirm => {
                        participant.confirm(&db, context, payload).await?;
                    }
                    Op::Cancel => participant.cancel(&db, context, payload).await?,
                }
                if let Some(recorded) = recorded {
                    replace(&db, context, recorded.state, wanted, now.0).await?;
                }
            }
        }
        db.commit().await?;
        Ok(Done { state: wanted, repeated: false })
    }

    /// Begins with the right to write. On SQLite a transaction that reads first and writes later
    /// can lose that right for good, so it is asked for at once.
    async fn begin(&self, op: Op) -> Result<DatabaseTransaction, NotDone> {
        let patience = match op {
            Op::Try | Op::Confirm => BEGIN_PATIENCE,
            // It may be its own Try that is writing, in another process of this service.
            Op::Cancel => TURN_PATIENCE,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = tokio::time::timeout(patience, self.db.begin_with_options(options));
        match begun.await {
            Ok(begun) => Ok(begun?),
            Err(_) => Err(NotDone::Busy),
        }
    }
}

/// Writes what will be true of the branch if this call is done and nothing was recorded before;
/// else gives what was recorded. The row is inserted before it is read: a locking read of a row
/// that is not there lets two callers pass, or deadlocks them. An insert makes the second wait.
async fn record(
    db: &DatabaseTransaction,
    context: &Context,
    state: State,
    now_ms: i64,
) -> Result<Option<Recorded>, DbErr> {
    let fresh = row::ActiveModel {
        gid: Set(context.gid.to_string()),
        branch_id: Set(context.branch.to_string()),
        instance: Set(context.instance.to_string()),
        state: Set(state.as_str().to_owned()),
        updated_at: Set(now_ms),
    };
    let key = [row::Column::Gid, row::Column::BranchId];
    let inserted = row::Entity::insert(fresh)
        .on_conflict(OnConflict::columns(key).do_nothing_on(key).to_owned())
        .exec_without_returning(db)
        .await?;
    if inserted > 0 {
        return Ok(None);
    }
    let found = row::Entity::find_by_id((context.gid.to_string(), context.branch.to_string()))
        .one(db)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("the guard's row that was in the way".to_owned()))?;
    found.read().map(Some)
}

/// Moves the row on, from the state it was read in: had another call moved it meanwhile, this
/// one must not have run.
async fn replace(
    db: &DatabaseTransaction,
    context: &Context,
    from: State,
    to: State,
    now_ms: i64,
) -> Result<(), NotDone> {
    let changed = row::Entity::update_many()
        .set(row::ActiveModel {
            state: Set(to.as_str().to_owned()),
            updated_at: Set(now_ms),
            ..Default::default()
        })
        .filter(row::Column::Gid.eq(context.gid.as_str()))
        .filter(row::Column::BranchId.eq(context.branch.as_str()))
        .filter(row::Column::State.eq(from.as_str()))
        .exec(db)
        .await?;
    match changed.rows_affected {
        1 => Ok(()),
        _ => Err(NotDone::Busy),
    }
}
