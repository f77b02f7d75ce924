//! `tercet restore`: a backup put in the place of the database, while no daemon has it.
//!
//! ```text
//!   backup ─▶ copy ─▶ read through ─▶ schema brought up to date ─▶ marked ─▶ fsync
//!     ─▶ old database and log get other names beside ─▶ the copy takes the name ─▶ the old log goes
//! ```
//!
//! A crash leaves the old database as it was; or the new one beside the old one's log, which the
//! daemon refuses to start on and a repeat mends; or the new one.

use std::fs;
use std::path::{Path, PathBuf};

use tercet_wire::Wall;

use super::address::SqliteFile;
use super::backup::{Part, sync_directory};
use super::lock::FileLock;
use super::ownership::{Owned, as_it_lies, holds_frames, look};
use super::{connect, copying, schema};
use crate::error::JournalError;
use crate::sql::{discard, holds};

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The name that the database of before has now, if there was one.
    pub set_aside: Option<PathBuf>,
    /// Transactions in the backup.
    pub transactions: u64,
    /// Those of them that are unfinished.
    pub unfinished: u64,
}

/// Puts a backup in the place of the SQLite database at a URL, and notes in it that all it has on
/// trial is held.
///
/// # Errors
/// A process uses the database, or the backup is none or not whole. Then all is as it was.
pub async fn restore(
    database_url: &str,
    from: &Path,
    at: Wall,
    who: &str,
) -> Result<Restored, JournalError> {
    let file = SqliteFile::of_url(database_url)?;
    let backup = SqliteFile::of_path(from);
    if backup.path() == file.path() {
        return Err(JournalError::OntoItself { path: from.to_owned() });
    }
    let of_path = |source| JournalError::File { path: from.to_owned(), source };
    fs::metadata(backup.path()).map_err(of_path)?;
    if look(&backup)?.0 == Owned::Nobodys {
        return Err(JournalError::Foreign { path: from.to_owned(), why: "it is empty" });
    }
    let _lock = FileLock::take_to_replace(&file)?;
    let part = Part::make(file.path())?;
    copying::copy_into((&copying::to_copy(&backup)?, from), &part.path)?;
    let copy = SqliteFile::of_path(&part.path);
    copying::check(&copy).map_err(copying::blamed_on(from))?;
    schema::migrate_up(&copy).await?;
    let connection = connect::starting(&copy).await?;
    let held = holds::begin(&connection, at, who).await;
    // The last to let go copies the log into the file.
    discard(connection).await;
    held?;
    if holds_frames(&copy.wal_path()) {
        let why = "its log could not be copied into it".to_owned();
        return Err(JournalError::Damaged { path: part.path.clone(), why });
    }
    copying::check(&copy)?;
    let (transactions, unfinished) = copying::counts(&as_it_lies(&copy)?)?;
    let set_aside = set_aside(&file, at)?;
    part.put_in_place(file.path(), 0o600, true)?;
    for path in file.logs() {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(JournalError::File { path, source });
            }
            _ => {}
        }
    }
    let of_path = |source| JournalError::File { path: file.path().to_owned(), source };
    sync_directory(file.path()).map_err(of_path)?;
    Ok(Restored { set_aside, transactions, unfinished })
}

/// Gives the database, and the log that belongs to it, a second name beside the first.
fn set_aside(file: &SqliteFile, at: Wall) -> Result<Option<PathBuf>, JournalError> {
    if !file.path().exists() {
        return Ok(None);
    }
    // Colons have a meaning to some that are given names of files.
    let moment = at.to_string().replace([':', '.'], "-");
    let name = |ending: &str| {
        let mut path = file.path().as_os_str().to_owned();
        path.push(format!(".before-restore-{moment}{ending}"));
        PathBuf::from(path)
    };
    for (path, aside) in [(file.path().to_owned(), name("")), (file.wal_path(), name("-wal"))] {
        if !path.exists() {
            continue;
        }
        // Some file systems know no second names.
        if fs::hard_link(&path, &aside).is_err() {
            let copied = fs::copy(&path, &aside);
            copied.map_err(|source| JournalError::File { path: aside, source })?;
        }
    }
    Ok(Some(name("")))
}
