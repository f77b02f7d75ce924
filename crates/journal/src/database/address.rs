//! Where a database is.

use std::path::{Path, PathBuf};

use super::super::error::JournalError;

const SQLITE: &str = "sqlite";

/// Where a database is: a file, for SQLite, the only one so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Address {
    path: PathBuf,
}

impl Address {
    /// Reads `sqlite://PATH`, relative to the working directory or absolute. The path is taken
    /// as it stands: nothing in it is unescaped, and it has no parameters.
    pub(in super::super) fn parse(url: &str) -> Result<Self, JournalError> {
        let Some((scheme, path)) = url.split_once(':') else {
            return Err(JournalError::InvalidUrl { why: "it has no scheme" });
        };
        if scheme != SQLITE {
            return Err(JournalError::UnsupportedScheme { scheme: scheme.to_owned() });
        }
        let Some(path) = path.strip_prefix("//") else {
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
    fn only_sqlite_with_the_path_of_a_file_is_understood() {
        let said = |url: &str| Address::parse(url).map_err(|error| error.to_string());
        let form = "the database URL must be sqlite://PATH with the path of a file: ";
        let table: &[(&str, Result<&str, String>)] = &[
            ("sqlite://tercet-missing.db", Ok("tercet-missing.db")),
            ("sqlite:///missing/dir/x.db", Ok("/missing/dir/x.db")),
            ("sqlite://a b%20c.db", Ok("a b%20c.db")),
            ("tercet.db", Err(format!("{form}it has no scheme"))),
            ("sqlite:tercet.db", Err(format!("{form}// must follow the scheme"))),
            ("sqlite://", Err(format!("{form}the path is empty"))),
            ("sqlite://:memory:", Err(format!("{form}it may have no parameters"))),
            ("sqlite://file::memory:", Err(format!("{form}it may have no parameters"))),
            ("sqlite::memory:", Err(format!("{form}// must follow the scheme"))),
            ("sqlite://x.db?mode=ro", Err(format!("{form}it may have no parameters"))),
            ("sqlite:///var/lib/", Err(format!("{form}the path is that of a directory"))),
            (
                "postgres://user:secret@host/db",
                Err("databases of scheme \"postgres\" are not supported; use sqlite://PATH".into()),
            ),
        ];
        for (url, expected) in table {
            let expected = expected.clone().map(|path| Address { path: path.into() });
            assert_eq!(said(url), expected, "{url}");
        }
    }

    #[test]
    fn the_lock_lies_beside_the_file() {
        let address = Address::parse("sqlite:///missing/dir/x.db").expect("valid");
        assert_eq!(address.lock_path(), Path::new("/missing/dir/x.db.lock"));
    }
}
