//! A node's row, which is its fence.

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
};
use tercet_wire::{NODE_PROTOCOL, Wall};

use crate::error::JournalError;
use crate::store::{Claim, Life};

/// The connection that starts a life.
pub(super) struct Starting<'a>(pub(super) &'a DatabaseConnection);

#[async_trait]
impl Claim for Starting<'_> {
    /// One process uses a SQLite file, so every other incarnation in it is over, whatever its
    /// node was called: their rows go, which fences them should one still run, and what they
    /// left unfinished is the new one's.
    async fn claim(&self, life: &Life) -> Result<Option<Wall>, JournalError> {
        Ok(register(self.0, life).await?)
    }
}

async fn register(connection: &DatabaseConnection, life: &Life) -> Result<Option<Wall>, DbErr> {
    let own = life.incarnation.0;
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = connection.begin_with_options(options).await?;
    let ask = statement("SELECT written_at FROM nodes ORDER BY started_at DESC LIMIT 1", []);
    let written_at = match transaction.query_one_raw(ask).await? {
        None => None,
        // A damaged value is as good as none: it is only compared with a clock.
        Some(row) => row.try_get::<Option<i64>>("", "written_at").unwrap_or(None),
    };
    let statements = [
        statement("DELETE FROM nodes", []),
        statement(
            "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, protocol, started_at, \
             written_at) VALUES (?, ?, ?, 'live', 0, ?, ?, ?)",
            [
                own.into(),
                life.node_id.as_str().into(),
                life.node_url.as_str().into(),
                NODE_PROTOCOL.into(),
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
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}
