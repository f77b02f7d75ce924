//! What a life writes into the header of the file: that it is ours, and who has it.

use std::io;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use tercet_wire::Incarnation;

use super::lock::FileLock;
use super::ownership::{APPLICATION_ID, Header, Owned};
use super::restored::Note;
use crate::error::JournalError;

/// Says in the file's header that it is ours, before anything is made in it.
pub(super) async fn mark(starting: &DatabaseConnection, owned: Owned) -> Result<(), JournalError> {
    match owned {
        Owned::Ours => {}
        Owned::Nobodys | Owned::OursUnmarked => {
            let sql = format!("PRAGMA application_id = {APPLICATION_ID}");
            starting.execute_unprepared(&sql).await?;
        }
    }
    Ok(())
}

/// Writes into the file's header and beside it that this life has it now. Until the header is
/// known to lie in the file itself, and not in its log alone, the life before may be found there.
pub(super) async fn take_over(
    starting: &DatabaseConnection,
    lock: &mut FileLock,
    life: Incarnation,
) -> Result<io::Result<()>, JournalError> {
    let header = |lock: &FileLock| Header::read(lock.database()).ok().flatten();
    // Positive, as SQLite shows it, and never what a file has that nobody had.
    let life = (u32::try_from(life.0 & 0x7fff_ffff).unwrap_or(1)).max(1);
    let before = header(lock);
    let note = Note {
        lives: vec![before.map_or(0, |header| header.user_version), life],
        schema_changes: before.map_or(0, |header| header.schema_changes),
    };
    if let Err(error) = lock.note(&note) {
        return Ok(Err(error));
    }
    starting.execute_unprepared(&format!("PRAGMA user_version = {life}")).await?;
    starting.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await?;
    match header(lock) {
        Some(Header { user_version, schema_changes, .. }) if user_version == life => {
            Ok(lock.note(&Note { lives: vec![life], schema_changes }))
        }
        _ => Ok(Ok(())),
    }
}
