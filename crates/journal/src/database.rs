//! Which database a URL leads to.

use tercet_migrations::StepStatus;

use crate::error::JournalError;
use crate::sqlite::SqliteFile;
use crate::store::Database;

/// The database at a URL, by its scheme.
///
/// # Errors
/// There is no store for the scheme, or what follows it makes no sense to that store.
pub(crate) fn at(url: &str) -> Result<Box<dyn Database>, JournalError> {
    let Some((scheme, place)) = url.split_once(':') else {
        return Err(JournalError::InvalidUrl { why: "it has no scheme" });
    };
    match scheme {
        "sqlite" => Ok(Box::new(SqliteFile::parse(place)?)),
        other => Err(JournalError::UnsupportedScheme { scheme: other.to_owned() }),
    }
}

/// Brings the schema up to date; makes the database if it is missing.
///
/// # Errors
/// As [`Journal::open`](crate::Journal::open).
pub async fn migrate_up(database_url: &str) -> Result<(), JournalError> {
    at(database_url)?.migrate_up().await
}

/// Which steps of the schema the database has. Changes nothing, and may be asked while
/// another process uses the database; one that is missing has none.
///
/// # Errors
/// As [`Journal::open`](crate::Journal::open).
pub async fn migration_status(database_url: &str) -> Result<Vec<StepStatus>, JournalError> {
    at(database_url)?.migration_status().await
}

/// Why the database at this URL may lose what it acknowledges, if the file system under it
/// is known to. Nothing where the system does not say.
#[must_use]
pub fn untrusted_file_system(database_url: &str) -> Option<&'static str> {
    at(database_url).ok()?.untrusted_file_system()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sqlite_with_the_path_of_a_file_is_understood() {
        let said = |url: &str| match at(url) {
            Ok(database) => Ok(format!("{database:?}")),
            Err(error) => Err(error.to_string()),
        };
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
            let expected = expected.clone().map(|path| format!("{:?}", SqliteFile::at(path)));
            assert_eq!(said(url), expected, "{url}");
        }
    }
}
