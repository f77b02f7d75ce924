//! One call inside an SQL transaction: the guard's row, what its table says, the business change.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr};
use tercet_wire::Op;

use super::contention::{Contention, contention};
use super::patience;
use super::purge::TOUCH_AFTER_MS;
use super::row::{self, Row};
use super::statements::INSERT_AND_FIND;
use super::store::{Done, NotDone};
use super::table::{Action, Arrival, Contradiction, State, decide, is_long_past};
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::participant::Participant;

/// What a call has come to. It may be told once the SQL transaction has ended.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) answer: Result<Done, Contradiction>,
    /// Whether what was written is to be committed.
    pub(super) is_kept: bool,
}

/// Does what the guard's table says, given what is recorded of the branch. After an error what was written is to be
/// rolled back.
pub(super) async fn settle<P: Participant>(
    db: &DatabaseTransaction,
    participant: &P,
    context: &Context,
    body: &[u8],
    (row, now_ms): (Option<Row>, i64),
) -> Result<Settled, NotDone> {
    let wanted = State::after(context.op);
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
            let is_kept = note_call(db, context, row, now_ms).await?;
            return Ok(Settled { answer: Err(why), is_kept });
        }
        Action::Repeat => {
            // The coordinator may have lost the answer before it was durable, and others build on
            // what it says: it is the same again.
            let result = match context.op {
                Op::Try => row::find_result(db, context).await?,
                Op::Confirm | Op::Cancel => None,
            };
            let is_kept = note_call(db, context, row, now_ms).await?;
            let state = recorded.map_or(wanted, |recorded| recorded.state);
            return Ok(Settled { answer: Ok(Done { state, repeated: true, result }), is_kept });
        }
        Action::Record if P::CANCELS_EMPTY => {
            // A payload that cannot be read now could not be read by a Try either.
            if let Ok(payload) = serde_json::from_slice(body) {
                let context = Context { empty: true, ..context.clone() };
                mark(db).await?;
                participant.cancel(db, &context, payload).await?;
                still_stands(db, WrittenAfter::Nothing).await?;
            }
        }
        Action::Record => {}
        Action::Run => {
            let payload = serde_json::from_slice(body)?;
            mark(db).await?;
            match context.op {
                Op::Try => {
                    participant.try_(db, context, payload).await?;
                    result = context.results.take_answer();
                }
                Op::Confirm => participant.confirm(db, context, payload).await?,
                Op::Cancel => participant.cancel(db, context, payload).await?,
            }
            if let Some(recorded) = recorded {
                still_stands(db, WrittenAfter::ItsRow).await?;
                // The row is locked, so it can have moved only where the lock is not
                // honoured; then this call must not have run.
                if !row::replace(db, context, recorded.state, wanted, now_ms).await? {
                    return Err(NotDone::InProgress);
                }
            } else {
                still_stands(db, WrittenAfter::Nothing).await?;
            }
        }
    }
    if let Some(result) = &result {
        row::keep_result(db, context, result).await?;
    }
    Ok(Settled { answer: Ok(Done { state: wanted, repeated: false, result }), is_kept: true })
}

/// Records the call as done, unless something is recorded of its branch: then gives that. Waits for another
/// call of the branch, a bounded time.
pub(super) async fn record(
    db: &DatabaseTransaction,
    context: &Context,
    now_ms: i64,
) -> Result<Option<Row>, NotDone> {
    let state = State::after(context.op);
    if db.get_database_backend() == DbBackend::Sqlite {
        return Ok(row::insert_and_find(db, INSERT_AND_FIND, context, now_ms).await?);
    }
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

/// Notes that a branch was called of which nothing was run; whether that is to be kept. It is now and then,
/// since a row is kept for as long as its branch is called.
async fn note_call(
    db: &DatabaseTransaction,
    context: &Context,
    row: Option<Row>,
    now_ms: i64,
) -> Result<bool, DbErr> {
    match row {
        Some(row)
            if row.recorded.instance == context.instance
                && now_ms.saturating_sub(row.updated_at_ms) >= TOUCH_AFTER_MS =>
        {
            row::touch(db, context, now_ms).await?;
            Ok(true)
        }
        Some(_) | None => Ok(false),
    }
}
