//! Where a SQLite database is.

use std::path::{Path, PathBuf};

use crate::error::JournalError;

/// Where a SQLite database is: a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqliteFile {
    path: PathBuf,
}

impl SqliteFile {
    /// Reads what follows the scheme of `sqlite://PATH`, relative to the working directory or
    /// absolute. The path is taken as it stands: nothing in it is unescaped, and it has no
    /// parameters.
    pub(crate) fn parse(after_scheme: &str) -> Result<Self, JournalError> {
        let Some(path) = after_scheme.strip_prefix("//") else {
            return Err(JournalError::InvalidUrl { why: "// must follow the scheme" });
        };
        if path.is_empty() {
            return Err(JournalError::InvalidUrl { why: "the path is empty" });
        }
        // SQLite would take these for a database in memory, or for a URL of its own.
        if path.starts_with(':') || path.starts_with("file:") || path.contains('?') {
            return Err(JournalError::InvalidUrl { why: "it may have no parameters" });
        }
        if path.ends_with('/') {
            return Err(JournalError::InvalidUrl { why: "the path is that of a directory" });
        }
        Ok(Self { path: resolve(Path::new(path)) })
    }

    /// The file at this path.
    #[cfg(test)]
    pub(crate) fn at(path: &str) -> Self {
        Self { path: path.into() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file whose lock says that a process uses the database.
    pub(super) fn lock_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        path.into()
    }
}

/// The file's own path, so that two links to one database lead to one lock. A file that is
/// not there yet keeps the path it was given.
fn resolve(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_lies_beside_the_file() {
        let file = SqliteFile::parse("///missing/dir/x.db").expect("valid");
        assert_eq!(file.lock_path(), Path::new("/missing/dir/x.db.lock"));
    }
}
