//! A copy of a whole database by SQLite's online backup: of one moment, whoever writes meanwhile.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::address::SqliteFile;
use super::ownership::{as_it_lies, holds_frames};
use crate::error::JournalError;

/// How long a writer may keep the copy from beginning.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// As many as there are.
const ALL_PAGES: i32 = -1;
/// Complaints that are told of one database.
const MOST_TOLD: usize = 3;

/// A connection that reads a database and whatever is in its log, and leaves both as they are.
pub(super) fn to_copy(file: &SqliteFile) -> Result<Connection, JournalError> {
    if !holds_frames(&file.wal_path()) && !file.shm_path().exists() {
        // Nobody has it open, and all of it lies in the one file: also where nothing can be written.
        return as_it_lies(file);
    }
    let connection = Connection::open_with_flags(file.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Copies everything of the database at a path into an empty file. Whoever writes is not held up: a log lets
/// readers be.
pub(super) fn copy_into(from: (&Connection, &Path), to: &Path) -> Result<(), JournalError> {
    let (from, path) = from;
    let mut copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // It is made durable as a whole, once it is there.
    copy.pragma_update(None, "synchronous", "OFF")?;
    copy.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
    let backup = Backup::new(from, &mut copy)?;
    let mut waited = Duration::ZERO;
    loop {
        // In one step, so that it is of one moment.
        match backup.step(ALL_PAGES).map_err(|error| of_source(error, path))? {
            StepResult::Done => return Ok(()),
            _ if waited < LOCK_WAIT => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            _ => return Err(JournalError::InUse { path: to.to_owned() }),
        }
    }
}

/// A file that is empty before is none that could be damaged.
fn of_source(error: rusqlite::Error, path: &Path) -> JournalError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            JournalError::Damaged { path: path.to_owned(), why: error.to_string() }
        }
        _ => error.into(),
    }
}

/// What is wrong with a copy was wrong with what it is of.
pub(super) fn blamed_on(path: &Path) -> impl Fn(JournalError) -> JournalError {
    move |error| match error {
        JournalError::Damaged { why, .. } => JournalError::Damaged { path: path.to_owned(), why },
        other => other,
    }
}

/// Reads all of a database that nobody uses, and says what is wrong with it.
pub(super) fn check(file: &SqliteFile) -> Result<(), JournalError> {
    complain(&as_it_lies(file)?, "PRAGMA integrity_check", file.path())
}

/// Has SQLite look through a database, and says what it finds wrong with it.
pub(super) fn complain(
    connection: &Connection,
    pragma: &str,
    path: &Path,
) -> Result<(), JournalError> {
    let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), why };
    // Of one whose schema is damaged not even a statement can be made.
    let complaints = connection.prepare(pragma).and_then(|mut complaints| {
        let rows = complaints.query_map([], |row| row.get::<_, String>(0))?;
        rows.take(MOST_TOLD).collect::<Result<Vec<_>, _>>()
    });
    match complaints {
        Ok(complaints) if complaints == ["ok"] => Ok(()),
        Ok(complaints) => Err(damaged(complaints.join("; "))),
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// The steps of the schema that a database has, in their order.
pub(super) fn steps(connection: &Connection) -> Result<Vec<String>, JournalError> {
    let mut steps = connection.prepare("SELECT version FROM schema_steps ORDER BY version")?;
    let steps = steps.query_map([], |row| row.get(0))?;
    Ok(steps.collect::<Result<_, _>>()?)
}

/// How many transactions there are, and how many of them are unfinished.
pub(super) fn counts(connection: &Connection) -> Result<(u64, u64), JournalError> {
    let count = |condition: &str| {
        let sql = format!("SELECT COUNT(*) FROM global_transactions {condition}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    let all = count("")?;
    let unfinished = count("WHERE status IN ('trying', 'confirming', 'cancelling')")?;
    let of = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok((of(all), of(unfinished)))
}
