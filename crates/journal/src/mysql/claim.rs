//! A node's row, which is its fence.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait, Value,
};
use tercet_wire::Wall;

use crate::error::JournalError;
use crate::store::Life;

/// One node uses a database for now, so every other life in it is over: their rows go, which
/// fences them should one still run, and what they left unfinished is the new one's.
pub(super) async fn claim(
    starting: &DatabaseConnection,
    life: &Life,
) -> Result<Option<Wall>, JournalError> {
    Ok(register(starting, life).await?)
}

async fn register(starting: &DatabaseConnection, life: &Life) -> Result<Option<Wall>, DbErr> {
    let own = life.incarnation.0;
    let transaction = starting.begin().await?;
    // One after the other: a row that somebody registers behind the place that a delete has come
    // to would stay.
    let turn = statement("SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE", []);
    transaction.query_one_raw(turn).await?;
    let ask = "SELECT written_at FROM nodes ORDER BY started_at DESC LIMIT 1 FOR UPDATE";
    let written_at: Option<i64> = match transaction.query_one_raw(statement(ask, [])).await? {
        None => None,
        Some(row) => row.try_get_by_index(0)?,
    };
    let statements = [
        // A batch under way holds its node's row, so that it ends first.
        statement("DELETE FROM nodes", []),
        statement(
            "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, started_at, written_at) \
             VALUES (?, ?, ?, 'live', 0, ?, ?)",
            [
                own.into(),
                life.node_id.as_str().into(),
                life.node_url.as_str().into(),
                life.started_at.0.into(),
                written_at.into(),
            ],
        ),
        statement("UPDATE global_transactions SET owner = ? WHERE owner IS NOT NULL", [own.into()]),
        // One that has lost its owner, to somebody with a shell say, must not wait for ever.
        statement(
            "UPDATE global_transactions SET owner = ? \
             WHERE status IN ('trying', 'confirming', 'cancelling') AND owner IS NULL",
            [own.into()],
        ),
    ];
    for statement in statements {
        transaction.execute_raw(statement).await?;
    }
    transaction.commit().await?;
    Ok(written_at.map(Wall))
}

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::MySql, sql, values)
}
