//! One row of the guard's table, inside the participant's SQL transaction.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Statement, Value};

use super::statements::Statements;
use super::table::{Recorded, State};
use crate::context::Context;

/// What stands in a branch's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// What was done, and in which life of the gid.
    pub(super) recorded: Recorded,
    /// When the branch was last called, give or take [`TOUCH_AFTER_MS`](super::purge::TOUCH_AFTER_MS);
    /// UTC epoch milliseconds.
    pub(super) updated_at_ms: i64,
}

/// Writes what will be true of the branch if this call is done, unless something is recorded
/// of it; whether it did.
///
/// The row is inserted before it is read: a locking read of a row that is not there lets two
/// callers pass, or deadlocks them. An insert makes the second wait.
pub(super) async fn insert(
    db: &DatabaseTransaction,
    context: &Context,
    state: State,
    now_ms: i64,
) -> Result<bool, DbErr> {
    let values = [
        context.gid.as_str().into(),
        context.branch.as_str().into(),
        context.instance.to_string().into(),
        context.legs.to_string().into(),
        state.as_str().into(),
        now_ms.into(),
    ];
    Ok(execute(db, |sql| sql.insert, values).await? > 0)
}

/// Both at once, by one of the texts `INSERT_AND_FIND`: the branch's row, unless this has written it.
pub(super) async fn insert_and_find(
    db: &DatabaseTransaction,
    text: &str,
    context: &Context,
    now_ms: i64,
) -> Result<Option<Row>, DbErr> {
    let values = [
        context.gid.as_str().into(),
        context.branch.as_str().into(),
        context.instance.to_string().into(),
        context.legs.to_string().into(),
        State::after(context.op).as_str().into(),
        now_ms.into(),
        context.gid.as_str().into(),
        context.branch.as_str().into(),
    ];
    let both = Statement::from_sql_and_values(db.get_database_backend(), text, values);
    let found = db.query_all_raw(both).await?;
    let Some(first) = found.first() else { return Ok(None) };
    match first.try_get::<Option<String>>("", "instance")? {
        None => Ok(None),
        Some(_) => read(first, context).map(Some),
    }
}

/// The branch's row, locked; none if it went away since the insert met it.
pub(super) async fn find(
    db: &DatabaseTransaction,
    context: &Context,
) -> Result<Option<Row>, DbErr> {
    let backend = db.get_database_backend();
    let values = [context.gid.as_str().into(), context.branch.as_str().into()];
    let find = Statement::from_sql_and_values(backend, Statements::of(backend).find, values);
    db.query_one_raw(find).await?.map(|found| read(&found, context)).transpose()
}

/// What the row says; an error if somebody else has written to it.
fn read(found: &QueryResult, context: &Context) -> Result<Row, DbErr> {
    let unreadable = |column: &str, value: &str| {
        let Context { gid, branch, .. } = context;
        DbErr::Type(format!("tercet_guard {gid}/{branch}: {column} is {value:?}"))
    };
    let instance: String = found.try_get("", "instance")?;
    let state: String = found.try_get("", "state")?;
    let recorded = Recorded {
        instance: instance.parse().map_err(|_| unreadable("instance", &instance))?,
        state: [State::Tried, State::Confirmed, State::Cancelled]
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| unreadable("state", &state))?,
    };
    Ok(Row { recorded, updated_at_ms: found.try_get("", "updated_at")? })
}

/// Keeps what a Try is answered with, beside its row.
pub(super) async fn keep_result(
    db: &DatabaseTransaction,
    context: &Context,
    result: &str,
) -> Result<(), DbErr> {
    let values = [
        context.gid.as_str().into(),
        context.branch.as_str().into(),
        context.instance.to_string().into(),
        result.into(),
    ];
    execute(db, |sql| sql.keep_result, values).await.map(drop)
}

/// What the Try of this branch was answered with, if that was kept.
pub(super) async fn find_result(
    db: &DatabaseTransaction,
    context: &Context,
) -> Result<Option<String>, DbErr> {
    let backend = db.get_database_backend();
    let values = [
        context.gid.as_str().into(),
        context.branch.as_str().into(),
        context.instance.to_string().into(),
    ];
    let find = Statement::from_sql_and_values(backend, Statements::of(backend).find_result, values);
    db.query_one_raw(find).await?.map(|found| found.try_get("", "result")).transpose()
}

/// Moves the row on from the state it was read in; whether it still was in it.
pub(super) async fn replace(
    db: &DatabaseTransaction,
    context: &Context,
    from: State,
    to: State,
    now_ms: i64,
) -> Result<bool, DbErr> {
    let values = [
        to.as_str().into(),
        now_ms.into(),
        context.gid.as_str().into(),
        context.branch.as_str().into(),
        from.as_str().into(),
    ];
    Ok(execute(db, |sql| sql.replace, values).await? == 1)
}

/// Notes that the branch is still being called, so that its row is kept.
pub(super) async fn touch(
    db: &DatabaseTransaction,
    context: &Context,
    now_ms: i64,
) -> Result<(), DbErr> {
    let values = [now_ms.into(), context.gid.as_str().into(), context.branch.as_str().into()];
    execute(db, |sql| sql.touch, values).await.map(drop)
}

/// Runs one of the guard's statements; the number of rows it wrote.
pub(super) async fn execute<const N: usize>(
    db: &DatabaseTransaction,
    which: impl FnOnce(&'static Statements) -> &'static str,
    values: [Value; N],
) -> Result<u64, DbErr> {
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, which(Statements::of(backend)), values);
    Ok(db.execute_raw(statement).await?.rows_affected())
}
