//! How long a call may wait in the database for another call of its branch, and how many may.
//!
//! Calls that meet in one process wait in [`turn`](super::turn) and cost nothing. Those that meet in two
//! processes wait for the guard's row, each with a connection in its hand: the time is bounded by
//! the database, the number by seats, of which there are half as many as connections.

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction};
use sea_orm::{DbBackend, DbErr};

/// Bounds the wait for the guard's row.
///
/// On PostgreSQL this holds for every lock of this transaction, and ends with it. MySQL counts in
/// whole seconds and per session, so there [`end`] puts back what the session had. On SQLite
/// the transaction has the right to write already.
pub(crate) async fn begin(db: &DatabaseTransaction) -> Result<(), DbErr> {
    match db.get_database_backend() {
        DbBackend::Postgres => db.execute_unprepared("SET LOCAL lock_timeout = '500ms'").await?,
        DbBackend::MySql => {
            db.execute_unprepared(
                "SET @tercet_lock_wait = @@SESSION.innodb_lock_wait_timeout, \
                 SESSION innodb_lock_wait_timeout = 1",
            )
            .await?
        }
        DbBackend::Sqlite | _ => return Ok(()),
    };
    Ok(())
}

/// Ends what [`begin`] began, once the guard's row is ours or out of reach.
pub(crate) async fn end(db: &DatabaseTransaction) -> Result<(), DbErr> {
    match db.get_database_backend() {
        DbBackend::MySql => db
            .execute_unprepared("SET SESSION innodb_lock_wait_timeout = @tercet_lock_wait")
            .await
            .map(drop),
        DbBackend::Postgres | DbBackend::Sqlite | _ => Ok(()),
    }
}

/// How many calls may wait for their row at once: half of the pool, and at least one.
pub(crate) fn seats(db: &DatabaseConnection) -> usize {
    let connections = match &db.inner {
        #[cfg(feature = "sqlite")]
        sea_orm::DatabaseConnectionType::SqlxSqlitePoolConnection(_) => {
            db.get_sqlite_connection_pool().options().get_max_connections()
        }
        #[cfg(feature = "postgres")]
        sea_orm::DatabaseConnectionType::SqlxPostgresPoolConnection(_) => {
            db.get_postgres_connection_pool().options().get_max_connections()
        }
        #[cfg(feature = "mysql")]
        sea_orm::DatabaseConnectionType::SqlxMySqlPoolConnection(_) => {
            db.get_mysql_connection_pool().options().get_max_connections()
        }
        // Mock, proxy and what may come: one after another is right anywhere.
        _ => 1,
    };
    usize::try_from(connections / 2).unwrap_or(1).max(1)
}
