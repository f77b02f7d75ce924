//! Whether a log belongs to the file that it lies beside.
//!
//! SQLite finds a log by its name alone, and copies what is in it into whatever file has the
//! name before it. Beside a restored backup, after a crash, that is the log of the file before:
//! two databases become one that is neither. So each life writes a number of its own into the
//! file's header and into the lock's file, and a log is only taken beside a header that fits.
//! A copy made in the same life has the same number; those that SQLite makes are known otherwise.

use std::fmt;
use std::io::Read;

use super::address::SqliteFile;
use super::ownership::{Header, holds_frames};
use crate::error::JournalError;

/// How the file of the lock begins.
const FORM: &str = "tercet 1";
/// More than is ever written there.
const MOST_BYTES: u64 = 256;

/// What is noted of a file in the file of its lock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Note {
    /// The lives that may have had the file last, by the numbers in its header: one, or two while
    /// a life takes it from another. None: nobody knows.
    pub(super) lives: Vec<u32>,
    /// How often its schema had changed, at least: SQLite's backup begins to count anew.
    pub(super) schema_changes: u32,
}

impl Note {
    /// As it was written. What is no note of ours says nothing.
    pub(super) fn read(from: impl Read) -> Self {
        let mut text = String::new();
        if from.take(MOST_BYTES).read_to_string(&mut text).is_err() {
            return Self::default();
        }
        let numbers = text
            .trim()
            .strip_prefix(FORM)
            .map(|rest| rest.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>());
        match numbers.as_ref().map(|numbers| numbers.as_deref()) {
            Some(Ok([schema_changes, lives @ ..])) => {
                Self { lives: lives.to_vec(), schema_changes: *schema_changes }
            }
            Some(Ok([]) | Err(_)) | None => Self::default(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FORM} {}", self.schema_changes)?;
        self.lives.iter().try_for_each(|life| write!(f, " {life}"))?;
        f.write_str("\n")
    }
}

/// Refuses a file beside which lies a log that holds something and is not its own.
pub(super) fn refuse_a_log_of_another_file(
    file: &SqliteFile,
    header: Option<Header>,
    note: &Note,
) -> Result<(), JournalError> {
    let wal = file.wal_path();
    if !holds_frames(&wal) {
        return Ok(());
    }
    let why = match header {
        None => "the database is missing or empty, and its log is not",
        // A file of ours has a log from its first moment; a copy made by VACUUM INTO has none.
        Some(header) if !header.is_wal => "the database was never written by way of a log",
        Some(header) if !note.lives.is_empty() && !note.lives.contains(&header.user_version) => {
            "the database was last written by another life of the node than the log"
        }
        Some(header) if header.schema_changes < note.schema_changes => {
            "the database is a copy that SQLite made"
        }
        Some(_) => return Ok(()),
    };
    Err(JournalError::StrangeLog { path: file.path().to_owned(), wal, why })
}
