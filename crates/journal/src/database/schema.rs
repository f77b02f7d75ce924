//! What `tercet migrate` does.

use sea_orm::ConnectOptions;
use tercet_migrations::StepStatus;

use super::super::error::JournalError;
use super::address::Address;
use super::connect;
use super::lock::FileLock;

/// Brings the schema up to date; makes the database if it is missing.
///
/// # Errors
/// As [`Journal::open`](super::super::Journal::open).
pub async fn migrate_up(database_url: &str) -> Result<(), JournalError> {
    let address = Address::parse(database_url)?;
    let _lock = FileLock::take(&address)?;
    let connection = connect::starting(&address).await?;
    let done = tercet_migrations::up(&connection).await.map_err(JournalError::Migration);
    connect::discard(connection).await;
    done
}

/// Which steps of the schema the database has. Changes nothing, and may be asked while
/// another process uses the database; one that is missing has none.
///
/// # Errors
/// As [`Journal::open`](super::super::Journal::open).
pub async fn migration_status(database_url: &str) -> Result<Vec<StepStatus>, JournalError> {
    let address = Address::parse(database_url)?;
    let connection = if address.path().exists() {
        connect::recovery_pool(&address, 1).await?
    } else {
        sea_orm::Database::connect(ConnectOptions::new("sqlite::memory:")).await?
    };
    let status = tercet_migrations::status(&connection).await.map_err(JournalError::Migration);
    connect::discard(connection).await;
    status
}
