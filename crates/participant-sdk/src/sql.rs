//! SQL that differs between databases in little but the marks of its values and the word for now.

use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};

use crate::clock;
use crate::guard::contention::contention;
use crate::guard::store::ROUND_PAUSE;

/// How often a transaction is run that lost against another one.
const ROUNDS: u32 = 6;

/// A statement in the words of a database: `?` is a value, `{now}` the database's own time in UTC epoch milliseconds.
///
/// What several processes compare is dated by the one clock that they share.
pub(crate) fn statement(
    backend: DbBackend,
    text: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(backend, in_words_of(backend, text), values)
}

fn in_words_of(backend: DbBackend, text: &str) -> String {
    let text = text.replace("{now}", now(backend));
    if backend != DbBackend::Postgres {
        return text;
    }
    let mut parts = text.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (before, part) in parts.enumerate() {
        numbered += &format!("${}{part}", before + 1);
    }
    numbered
}

/// The moment of the statement, not of its transaction: that may have begun long before. On MySQL it is not asked
/// in the session's time zone, where an hour may come twice.
fn now(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        DbBackend::MySql => {
            "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)"
        }
        DbBackend::Sqlite | _ => {
            "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"
        }
    }
}

/// `?, ?, ?`: as many values as there are of these.
pub(crate) fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

pub(crate) fn whole_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Begins with the right to write, at a level where each statement sees what is committed by then.
pub(crate) async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let one_writer = db.get_database_backend() == DbBackend::Sqlite;
    let options = TransactionOptions {
        isolation_level: (!one_writer).then_some(IsolationLevel::ReadCommitted),
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    db.begin_with_options(options).await
}

/// Runs an SQL transaction in a task of its own, so that it ends whole whoever stops waiting for it.
///
/// A connection whose statement is dropped while it is being prepared does not come back from MySQL's driver once
/// a rollback was queued behind it: it waits for rows that nobody sends, and its pool has one less for good.
pub(crate) async fn whole<T: Send + 'static>(
    transaction: impl Future<Output = Result<T, DbErr>> + Send + 'static,
) -> Result<T, DbErr> {
    match tokio::spawn(transaction).await {
        Ok(ended) => ended,
        Err(broken) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
        Err(_) => Err(DbErr::Custom("the runtime is shutting down".to_owned())),
    }
}

/// Runs something again for as long as it only lost against another transaction, within a bound.
pub(crate) async fn again<T, F: Future<Output = Result<T, DbErr>>>(
    run: impl Fn() -> F,
) -> Result<T, DbErr> {
    let mut round = 1;
    loop {
        match run().await {
            Err(error) if contention(&error).is_some() && round < ROUNDS => {
                tokio::time::sleep(ROUND_PAUSE.pause(round, clock::entropy(), None)).await;
                round += 1;
            }
            settled => return settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_where_the_database_wants_it() {
        let text = "UPDATE t SET a = ?, b = ? WHERE c = ?";
        assert_eq!(in_words_of(DbBackend::Sqlite, text), text);
        let numbered = "UPDATE t SET a = $1, b = $2 WHERE c = $3";
        assert_eq!(in_words_of(DbBackend::Postgres, text), numbered);
        assert_eq!(marks(3), "?, ?, ?");
    }
}
