//! What SQLite alone can do wrong.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod damage;
mod files;
mod gone;
mod held;
mod owner;
mod plans;
mod reads;
mod resubmit;
#[cfg(unix)]
mod strange;

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use tercet_clock::Clock;

use crate::conformance::{Rig, Running};
use crate::{Journal, JournalError, JournalSettings};

/// Opens the journal as the daemon does, lock and all.
async fn open(rig: &Rig, settings: JournalSettings) -> Result<Running, JournalError> {
    let (tell, events) = tokio::sync::mpsc::unbounded_channel();
    let clock = Arc::clone(&rig.clock) as Arc<dyn Clock>;
    Ok(Running::with(Journal::open(settings, tell, clock).await?, events))
}

/// A connection from outside.
async fn outsider(rig: &Rig) -> DatabaseConnection {
    super::connect::starting(&rig.sqlite_file()).await.unwrap()
}

async fn run(connection: &DatabaseConnection, sql: &str) {
    connection.execute_unprepared(sql).await.unwrap();
}
