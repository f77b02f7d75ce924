//! What `tercet migrate` does.

use sea_orm::ConnectOptions;
use tercet_migrations::StepStatus;

use super::address::SqliteFile;
use super::connect;
use super::lock::FileLock;
use super::ownership::look;
use crate::error::JournalError;
use crate::sql::discard;

pub(super) async fn migrate_up(file: &SqliteFile) -> Result<(), JournalError> {
    let lock = FileLock::take(file)?;
    let connection = connect::starting(file).await?;
    super::mark(&connection, lock.owned()).await?;
    let done = tercet_migrations::up(&connection).await.map_err(JournalError::Migration);
    discard(connection).await;
    drop(lock);
    done
}

pub(super) async fn migration_status(file: &SqliteFile) -> Result<Vec<StepStatus>, JournalError> {
    look(file)?;
    let connection = if file.path().exists() {
        connect::recovery_pool(file, 1).await?
    } else {
        sea_orm::Database::connect(ConnectOptions::new("sqlite::memory:")).await?
    };
    let status = tercet_migrations::status(&connection).await.map_err(JournalError::Migration);
    discard(connection).await;
    status
}
