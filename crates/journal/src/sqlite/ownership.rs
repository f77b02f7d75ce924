//! Whose a file is, found out without changing a byte of it.
//!
//! A path that was mistyped leads to another program's database. SQLite would take it: our tables
//! would be made beside theirs. So ours carry SQLite's own mark for that, the application id; those
//! of before there was one are known by their tables.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::address::SqliteFile;
use crate::error::JournalError;

/// "TRCT": what the header of a file of ours says.
pub(super) const APPLICATION_ID: u32 = 0x5452_4354;

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How much of it says what it is.
const HEADER_BYTES: usize = 100;
/// A log has a header of its own; without more than that there is nothing in it.
const EMPTY_WAL_BYTES: u64 = 32;
/// What a step of the schema that was applied leaves behind.
const FIRST_STEP: &str = "m0001_journal";
/// The tables of a schema that was cut short while it was made for the first time.
const TABLES: [&str; 17] = [
    "schema_steps",
    "nodes",
    "global_transactions",
    "global_details",
    "transaction_options",
    "branch_transactions",
    "branch_outcomes",
    "branch_options",
    "branch_results",
    "transaction_events",
    "sagas",
    "participant_pauses",
    "jobs",
    "job_ticks",
    "holds",
    "cluster_settings",
    "schema_compat",
];

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owned {
    /// Nothing, or a database without tables: it can be made ours.
    Nobodys,
    /// Ours, from before files were marked.
    OursUnmarked,
    /// Ours.
    Ours,
}

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether it is written by way of a log.
    pub(super) is_wal: bool,
    /// How often the schema was changed.
    pub(super) schema_changes: u32,
    /// For a program's own use: which life of ours had it last.
    pub(super) user_version: u32,
    application_id: u32,
}

impl Header {
    /// The header at the beginning of a file; none if it is empty.
    ///
    /// # Errors
    /// What stands there is no header of SQLite's (`InvalidData`), or it cannot be read.
    pub(super) fn read(mut from: impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEADER_BYTES];
        let mut filled = 0;
        while filled < HEADER_BYTES {
            match from.read(&mut bytes[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return Ok(None);
        }
        if filled < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return Err(ErrorKind::InvalidData.into());
        }
        let word = |at: usize| {
            let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
            u32::from_be_bytes(word.unwrap_or_default())
        };
        Ok(Some(Self {
            is_wal: bytes[18] == 2 && bytes[19] == 2,
            schema_changes: word(40),
            user_version: word(60),
            application_id: word(68),
        }))
    }
}

/// Looks whose a file is.
///
/// # Errors
/// It is somebody else's, or it cannot be read.
pub(super) fn look(file: &SqliteFile) -> Result<(Owned, Option<Header>), JournalError> {
    let path = file.path();
    let of_path = |source| JournalError::File { path: path.to_owned(), source };
    let opened = match File::open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Owned::Nobodys, None)),
        Err(error) => return Err(of_path(error)),
    };
    let header = match Header::read(opened) {
        Ok(Some(header)) => header,
        Ok(None) => return Ok((Owned::Nobodys, None)),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(foreign(file, "it is no SQLite database"));
        }
        Err(error) => return Err(of_path(error)),
    };
    let owned = match header.application_id {
        APPLICATION_ID => Owned::Ours,
        0 => by_its_tables(file)?,
        _ => return Err(foreign(file, "its application_id is another program's")),
    };
    Ok((owned, Some(header)))
}

fn foreign(file: &SqliteFile, why: &'static str) -> JournalError {
    JournalError::Foreign { path: file.path().to_owned(), why }
}

/// Of a file without a mark. Its log is read where there is one, since all of it may lie there.
fn by_its_tables(file: &SqliteFile) -> Result<Owned, JournalError> {
    let connection = match holds_frames(&file.wal_path()) {
        true => through_its_log(file)?,
        false => as_it_lies(file)?,
    };
    let application_id: u32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match application_id {
        0 => {}
        APPLICATION_ID => return Ok(Owned::Ours),
        _ => return Err(foreign(file, "its application_id is another program's")),
    }
    let mut names = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let names = names.query_map([], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Ok(Owned::Nobodys);
    }
    let has = |table: &str| names.iter().any(|name| name == table);
    let is_cut_short =
        has("schema_steps") && names.iter().all(|name| TABLES.contains(&name.as_str()));
    match is_cut_short || has("schema_steps") && has("nodes") && has_first_step(&connection) {
        true => Ok(Owned::OursUnmarked),
        false => Err(foreign(file, "it has tables that are not Tercet's")),
    }
}

fn has_first_step(connection: &Connection) -> bool {
    let ask = "SELECT 1 FROM schema_steps WHERE version = ?";
    // A table of that name with other columns is somebody else's.
    connection.query_row(ask, [FIRST_STEP], |_| Ok(())).is_ok()
}

/// Whether there is anything in a log.
pub(super) fn holds_frames(wal: &Path) -> bool {
    std::fs::metadata(wal).is_ok_and(|metadata| metadata.len() > EMPTY_WAL_BYTES)
}

/// Reads the file alone, without locks, and without making a file beside it.
pub(super) fn as_it_lies(file: &SqliteFile) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", escaped(file.path()));
    Ok(Connection::open_with_flags(uri, flags)?)
}

/// Reads the file and its log. In exclusive mode what is usually kept in a file beside them is
/// kept in memory; and the log is not copied into the file at the end.
fn through_its_log(file: &SqliteFile) -> Result<Connection, JournalError> {
    let connection = to_read_with_log(file)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    match connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(())) {
        Ok(()) => Ok(connection),
        // Somebody else has it open, so that the file beside them is there already.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            drop(connection);
            to_read_with_log(file)
        }
        Err(error) => Err(error.into()),
    }
}

fn to_read_with_log(file: &SqliteFile) -> Result<Connection, JournalError> {
    let connection = Connection::open_with_flags(file.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// A path within a URI.
fn escaped(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                escaped.push(char::from(*byte));
            }
            // Writing to a string does not fail.
            byte => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}
