//! Whether the files that are written are still the ones that the next start will open.
//!
//! SQLite goes on writing into a file that was moved or deleted beneath it, and would say
//! that all is well: what it acknowledges then is lost with the process. That holds for the
//! database as for its log, in which every commit lies first.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The files that a database's paths led to when it was opened.
#[derive(Debug)]
pub(super) struct SameFiles {
    database: SameFile,
    log: SameFile,
    /// How large the log was when it was looked at last, in its length and on its disk.
    log_size: Mutex<Size>,
}

/// How large a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Size {
    length: u64,
    /// Less than that where nothing was ever written.
    blocks: u64,
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
        let (database, log) = (SameFile::of(database)?, SameFile::of(log)?);
        Ok(Self { database, log, log_size: Mutex::default() })
    }

    /// Whether the log has become smaller since this was last asked: SQLite cuts it back after a
    /// burst, and so does whoever empties it.
    pub(super) fn has_log_shrunk(&self) -> bool {
        // One that is gone is told of otherwise.
        let Ok(size) = size(&self.log.path) else { return false };
        let mut last = self.log_size.lock().unwrap_or_else(PoisonError::into_inner);
        let shrunk = size.length < last.length || size.blocks < last.blocks;
        *last = size;
        shrunk
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

/// Looks whether a log that holds something begins as one: if its beginning was taken away, SQLite
/// goes on where it was.
///
/// # Errors
/// It does not, or cannot be read.
pub(super) fn begins_as_a_log(wal: &Path) -> io::Result<()> {
    /// SQLite's file format, section 4.1: with either order of bytes in its sums.
    const MAGIC: [[u8; 4]; 2] = [[0x37, 0x7f, 0x06, 0x82], [0x37, 0x7f, 0x06, 0x83]];
    let mut beginning = [0; 4];
    let read = File::open(wal).and_then(|mut log| log.read_exact(&mut beginning));
    match read {
        Ok(()) if MAGIC.contains(&beginning) => Ok(()),
        Ok(()) => Err(ErrorKind::InvalidData.into()),
        // Empty: whether there should be something, SQLite knows.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error),
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

#[cfg(unix)]
fn size(path: &Path) -> io::Result<Size> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok(Size { length: metadata.len(), blocks: metadata.blocks() })
}

#[cfg(not(unix))]
fn size(path: &Path) -> io::Result<Size> {
    Ok(Size { length: std::fs::metadata(path)?.len(), blocks: 0 })
}

/// Elsewhere an open file can be neither moved nor deleted.
#[cfg(not(unix))]
type FileId = ();

#[cfg(not(unix))]
fn file_id(path: &Path) -> io::Result<FileId> {
    std::fs::metadata(path).map(|_| ())
}
