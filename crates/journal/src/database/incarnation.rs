//! A node's row, which is its fence.

use rusqlite::{Error, Transaction};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
};
use tercet_wire::{Incarnation, Wall};

use super::super::settings::JournalSettings;
use super::super::store::CommitError;
use super::writer::{execute, query};

/// Registers an incarnation. One process uses a SQLite file, so every other incarnation in it
/// is over, whatever its node was called: their rows go, which fences them should one still
/// run, and what they left unfinished is the new one's. Returns when they wrote last, which
/// the new row keeps until its own first batch.
pub(super) async fn register(
    connection: &DatabaseConnection,
    settings: &JournalSettings,
    started_at: Wall,
) -> Result<Option<Wall>, DbErr> {
    let own = settings.incarnation.0;
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
            "INSERT INTO nodes (incarnation, node_id, url, state, batch_no, started_at, written_at) \
             VALUES (?, ?, ?, 'live', 0, ?, ?)",
            [
                own.into(),
                settings.node_id.as_str().into(),
                settings.node_url.as_str().into(),
                started_at.0.into(),
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

/// Whether a batch is to be written, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has not happened.
    Write,
    /// It happened, in an earlier submission.
    Written,
}

/// Takes batch `number`'s turn: heartbeat, fence and the batch's identity in one write.
pub(super) fn take_turn(
    transaction: &Transaction<'_>,
    own: Incarnation,
    number: i64,
    written_at: Wall,
) -> Result<Turn, CommitError> {
    let advance = statement(
        "UPDATE nodes SET batch_no = ?, written_at = ? \
         WHERE incarnation = ? AND state = 'live' AND batch_no = ?",
        [number.into(), written_at.0.into(), own.0.into(), (number - 1).into()],
    );
    if execute(transaction, &advance).map_err(again)? == 1 {
        return Ok(Turn::Write);
    }
    let look = statement("SELECT state, batch_no FROM nodes WHERE incarnation = ?", [own.0.into()]);
    let found = query(transaction, &look, |row| Ok((row.get(0)?, row.get(1)?))).map_err(again)?;
    let Some((state, last)): Option<(String, i64)> = found.into_iter().next() else {
        return Err(CommitError::Fenced("this incarnation's row is gone".to_owned()));
    };
    if state == "live" && last == number {
        return Ok(Turn::Written);
    }
    Err(CommitError::Fenced(format!(
        "this incarnation's row is {state} at batch {last}; batch {number} does not follow"
    )))
}

fn again(error: Error) -> CommitError {
    CommitError::Again(error.to_string())
}

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}
