//! Whether the files that are written are still the ones that the next start will open.
//!
//! SQLite goes on writing into a file that was moved or deleted beneath it, and would say
//! that all is well: what it acknowledges then is lost with the process. That holds for the
//! database as for its log, in which every commit lies first.

use std::io;
use std::path::{Path, PathBuf};

/// The files that a database's paths led to when it was opened.
#[derive(Debug)]
pub(super) struct SameFiles {
    database: SameFile,
    log: SameFile,
}

/// What is not as it was; in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moved {
    /// The database itself.
    Database(String),
    /// Its log alone.
    Log(String),
}

impl SameFiles {
    /// Remembers which files they are.
    pub(super) fn of(database: &Path, log: &Path) -> io::Result<Self> {
        Ok(Self { database: SameFile::of(database)?, log: SameFile::of(log)? })
    }

    /// Looks whether the paths still lead there.
    ///
    /// # Errors
    /// One does not.
    pub(super) fn check(&self) -> Result<(), Moved> {
        self.database.check().map_err(|how| {
            Moved::Database(match how {
                Found::Another(path) => format!(
                    "another file lies in the place of {path}: put the right one back, or restart \
                     to go on with this one"
                ),
                Found::Nothing(path, error) => format!("{path} is gone ({error}): put it back"),
            })
        })?;
        self.log.check().map_err(|how| {
            let (what, path) = match how {
                Found::Another(path) => ("another file lies in the place of", path),
                Found::Nothing(path, _) => ("this file is gone:", path),
            };
            Moved::Log(format!(
                "{what} {path}, the database's log: put it back if it was moved; if it was \
                 deleted, stop the process in order (SIGTERM) and start it again"
            ))
        })
    }
}

/// What a path leads to instead.
enum Found {
    Another(String),
    Nothing(String, io::Error),
}

/// The file that a path led to.
#[derive(Debug)]
struct SameFile {
    path: PathBuf,
    file: FileId,
}

impl SameFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: file_id(path)? })
    }

    fn check(&self) -> Result<(), Found> {
        let path = || self.path.display().to_string();
        match file_id(&self.path) {
            Ok(found) if found == self.file => Ok(()),
            Ok(_) => Err(Found::Another(path())),
            Err(error) => Err(Found::Nothing(path(), error)),
        }
    }
}

/// Device and number of a file.
#[cfg(unix)]
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Elsewhere an open file can be neither moved nor deleted.
#[cfg(not(unix))]
type FileId = ();

#[cfg(not(unix))]
fn file_id(path: &Path) -> io::Result<FileId> {
    std::fs::metadata(path).map(|_| ())
}
