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

    /// The file that a whole URL leads to.
    pub(super) fn of_url(url: &str) -> Result<Self, JournalError> {
        match url.split_once(':') {
            Some(("sqlite", place)) => Self::parse(place),
            _ => Err(JournalError::InvalidUrl { why: "its scheme is another" }),
        }
    }

    /// The file at this path, wherever links lead.
    pub(super) fn of_path(path: &Path) -> Self {
        Self { path: resolve(path) }
    }

    /// The file at this path.
    #[cfg(test)]
    pub(crate) fn at(path: &str) -> Self {
        Self { path: path.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file whose lock says that a process uses the database.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.beside(".lock")
    }

    /// SQLite's log, in which a commit lies until it is copied into the file.
    pub(super) fn wal_path(&self) -> PathBuf {
        self.beside("-wal")
    }

    /// What SQLite keeps beside its log while the database is open.
    pub(super) fn shm_path(&self) -> PathBuf {
        self.beside("-shm")
    }

    /// All in which there may be something that belongs into the database.
    pub(super) fn logs(&self) -> [PathBuf; 3] {
        ["-wal", "-shm", "-journal"].map(|ending| self.beside(ending))
    }

    /// All that belongs to the database and lies beside it.
    pub(super) fn companions(&self) -> [PathBuf; 4] {
        ["-wal", "-shm", "-journal", ".lock"].map(|ending| self.beside(ending))
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }
}

/// Links that one path leads through at most, as on Linux.
const MOST_LINKS: usize = 40;

/// The file's own path, so that two links to one database lead to one lock, also while the file
/// is not there yet. What leads nowhere keeps the path it was given.
fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Ok(found) = path.canonicalize() {
            return found;
        }
        // There is nothing at its end yet; the way there may go on.
        let Ok(target) = path.read_link() else { break };
        // An absolute target takes the whole path's place.
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    // A name alone lies where the process does, which never changes.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match (directory.and_then(|parent| parent.canonicalize().ok()), path.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_that_is_not_there_yet_leads_to_its_place() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().expect("a directory");
        let place = place.path().canonicalize().expect("it is there");
        std::fs::create_dir(place.join("data")).expect("a directory");
        symlink("data", place.join("linked")).expect("a link");
        symlink("linked/t.db", place.join("one")).expect("a link");
        symlink(place.join("one"), place.join("two")).expect("a link");
        let at = |name: &str| {
            let path = format!("//{}/{name}", place.display());
            SqliteFile::parse(&path).expect("valid").path().to_owned()
        };
        for name in ["data/t.db", "linked/t.db", "one", "two", "data/../two"] {
            assert_eq!(at(name), place.join("data/t.db"), "{name}");
        }
        symlink("round", place.join("round")).expect("a link");
        assert_eq!(at("round"), place.join("round"));
    }

    #[test]
    fn the_lock_lies_beside_the_file() {
        let file = SqliteFile::parse("///missing/dir/x.db").expect("valid");
        assert_eq!(file.lock_path(), Path::new("/missing/dir/x.db.lock"));
    }
}
