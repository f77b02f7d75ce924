//! A service's own SQLite file.

use std::path::Path;
use std::sync::Arc;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, RuntimeErr, Schema,
    SqlxSqliteConnector,
};

/// Opens the file, made where there is none. What was answered is on the disk.
pub(crate) async fn open(file: &Path) -> Result<DatabaseConnection, DbErr> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    // One connection: SQLite writes one transaction at a time, and a queue in front of the
    // connection is fairer than connections that meet on the file's lock.
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
    let pool = pool.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// Creates an entity's table where it is missing. A column named here can never fall below zero,
/// whatever the code does.
pub(crate) async fn create_table<E: EntityTrait>(
    db: &DatabaseConnection,
    entity: E,
    never_negative: &[E::Column],
) -> Result<(), DbErr> {
    use sea_orm::sea_query::{Expr, ExprTrait};
    let mut table = Schema::new(db.get_database_backend()).create_table_from_entity(entity);
    for column in never_negative {
        table.check(Expr::col(*column).gte(0));
    }
    db.execute(table.if_not_exists()).await?;
    Ok(())
}
