//! Whether a database is whole, as its pages say, also while a daemon has it.

use std::fs;

use super::address::SqliteFile;
use super::copying::{complain, to_copy};
use crate::error::JournalError;

/// How much there was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadThrough {
    /// All of it was, and nothing is wrong with it.
    Whole {
        /// How large it is.
        bytes: u64,
    },
    /// It is larger than what is read.
    TooLarge {
        /// How large it is.
        bytes: u64,
    },
}

/// Reads every page of the SQLite database at a URL, if it has no more bytes than these. It holds up nobody who
/// writes; only what the log has is not copied into the file meanwhile, so that the log grows for as long.
///
/// # Errors
/// It is damaged, or cannot be read.
pub fn read_through(database_url: &str, most_bytes: u64) -> Result<ReadThrough, JournalError> {
    let file = SqliteFile::of_url(database_url)?;
    let of_path = |source| JournalError::File { path: file.path().to_owned(), source };
    let bytes = fs::metadata(file.path()).map_err(of_path)?.len();
    if bytes > most_bytes {
        return Ok(ReadThrough::TooLarge { bytes });
    }
    // Whether indexes have what their tables have is not compared: it takes many times as long.
    complain(&to_copy(&file)?, "PRAGMA quick_check", file.path())?;
    Ok(ReadThrough::Whole { bytes })
}
