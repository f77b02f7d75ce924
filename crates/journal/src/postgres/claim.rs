//! A node's row, and the rows of its batches, which are its fence.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait, Value,
};
use tercet_wire::Wall;

use super::dialect::NODES;
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
    // Batches under way end first, and none begins until this is over: what is deleted below is
    // then all that there is.
    transaction
        .execute_raw(statement("LOCK TABLE node_batches IN SHARE ROW EXCLUSIVE MODE", []))
        .await?;
    let ask = format!("SELECT written_at FROM ({NODES}) AS n ORDER BY started_at DESC LIMIT 1");
    let written_at: Option<i64> = match transaction.query_one_raw(statement(&ask, [])).await? {
        None => None,
        Some(row) => row.try_get_by_index(0)?,
    };
    let statements = [
        statement("DELETE FROM node_batches", []),
        statement("DELETE FROM nodes", []),
        statement(
            "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, started_at, written_at) \
             VALUES ($1, $2, $3, 'live', 0, $4, $5)",
            [
                own.into(),
                life.node_id.as_str().into(),
                life.node_url.as_str().into(),
                life.started_at.0.into(),
                written_at.into(),
            ],
        ),
        statement(
            "INSERT INTO node_batches (incarnation, batch_no, state, written_at) \
             VALUES ($1, 0, 'live', $2)",
            [own.into(), written_at.into()],
        ),
        statement(
            "UPDATE global_transactions SET owner = $1 WHERE owner IS NOT NULL",
            [own.into()],
        ),
        // One that has lost its owner, to somebody with a shell say, must not wait for ever.
        statement(
            "UPDATE global_transactions SET owner = $1 \
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
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}
