//! Whether the file that is written is still the one that the next start will open.
//!
//! SQLite goes on writing into a file that was moved or deleted beneath it, and would say
//! that all is well: what it acknowledges then is lost with the process.

use std::io;
use std::path::{Path, PathBuf};

/// The file that a path led to when the database was opened.
#[derive(Debug)]
pub(super) struct SameFile {
    path: PathBuf,
    file: FileId,
}

impl SameFile {
    /// Remembers which file it is.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: file_id(path)? })
    }

    /// Looks whether the path still leads there.
    ///
    /// # Errors
    /// It does not; in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        match file_id(&self.path) {
            Ok(found) if found == self.file => Ok(()),
            Ok(_) => Err(format!(
                "another file lies in the place of {path}: put the right one back, or restart \
                 to go on with this one"
            )),
            Err(error) => Err(format!("{path} is gone ({error}): put it back")),
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
