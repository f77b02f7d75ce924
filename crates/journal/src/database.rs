//! Which database a URL leads to.

use std::path::{Path, PathBuf};

use tercet_engine::HoldChange;
use tercet_migrations::StepStatus;
use tercet_wire::Wall;

use crate::error::JournalError;
use crate::mysql::MySql;
use crate::postgres::Postgres;
use crate::shared::SharedDatabase;
use crate::sql::{discard, holds};
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
        "postgres" | "postgresql" => Ok(Box::new(SharedDatabase::<Postgres>::parse(url)?)),
        "mysql" | "mariadb" => Ok(Box::new(SharedDatabase::<MySql>::parse(url)?)),
        other => Err(JournalError::UnsupportedScheme { scheme: other.to_owned() }),
    }
}

/// Brings the schema up to date; makes an SQLite file that is missing, and on a server only tables.
///
/// # Errors
/// As [`Journal::open`](crate::Journal::open).
pub async fn migrate_up(database_url: &str) -> Result<(), JournalError> {
    at(database_url)?.migrate_up().await
}

/// Which steps of the schema the database has. Changes nothing, and may be asked while
/// another process uses the database; an SQLite file that is missing has none.
///
/// # Errors
/// As [`Journal::open`](crate::Journal::open).
pub async fn migration_status(database_url: &str) -> Result<Vec<StepStatus>, JournalError> {
    at(database_url)?.migration_status().await
}

/// Holds all that is trying in a database that was restored, unless that is so already; it is brought up
/// to date for that.
///
/// # Errors
/// Somebody uses it whom nothing is held of, or it cannot be used.
pub async fn hold(database_url: &str, now: Wall, who: &str) -> Result<HoldChange, JournalError> {
    let database = at(database_url)?;
    if let Some(held) = database.held_by_others().await? {
        return Ok(held);
    }
    let offline = database.offline().await?;
    let held = holds::begin(&offline.connection, now, who).await;
    // A node that has begun meanwhile may not have seen it: then it is stopped first.
    let ended = match &held {
        Ok(_) => database.end_lives(&offline.lives).await.map(drop),
        Err(_) => Ok(()),
    };
    discard(offline.connection).await;
    ended.and(held)
}

/// Looks whether a journal could stand on the database. Changes nothing, and may be asked while others use it.
///
/// # Errors
/// It could not, or cannot be reached.
pub async fn check(database_url: &str) -> Result<(), JournalError> {
    at(database_url)?.check().await
}

/// Why the database at this URL may lose what it acknowledges, if the file system under it
/// is known to. Nothing where the system does not say.
#[must_use]
pub fn untrusted_file_system(database_url: &str) -> Option<&'static str> {
    at(database_url).ok()?.untrusted_file_system()
}

/// The file that a database at this URL is, if it is one of this machine's.
#[must_use]
pub fn database_file(database_url: &str) -> Option<PathBuf> {
    at(database_url).ok()?.file().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_sqlite_only_the_path_of_a_file_is_understood() {
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
                "oracle://user:secret@host/db",
                Err("databases of scheme \"oracle\" are not supported; use sqlite://PATH, \
                     postgres://… or mysql://…"
                    .into()),
            ),
        ];
        for (url, expected) in table {
            let expected = expected.clone().map(|path| format!("{:?}", SqliteFile::at(path)));
            assert_eq!(said(url), expected, "{url}");
        }
    }

    #[test]
    fn a_server_is_shown_without_user_password_and_parameters() {
        for (url, shown) in [
            ("postgres://me:s3cret@db.example/tercet", "postgres://db.example/tercet"),
            ("postgresql://me:s3%40ret@[::1]:5433/t", "postgresql://[::1]:5433/t"),
            ("postgres://h/t?sslmode=verify-full&sslrootcert=/ca.pem", "postgres://h/t"),
            ("postgres:///t?host=/run/postgresql&password=s3cret", "postgres:///t"),
            ("mysql://me:s3cret@db.example:3307/tercet", "mysql://db.example:3307/tercet"),
            ("mariadb://me@h/t?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem", "mariadb://h/t"),
        ] {
            let found = at(url).map(|database| format!("{database:?}"));
            let found = found.unwrap_or_else(|error| error.to_string());
            assert!(found.contains(&format!("(\"{shown}\")")), "{url}: {found}");
            assert!(!found.contains("s3cret"), "{found}");
        }
    }

    #[test]
    fn what_makes_no_sense_to_a_server_is_refused_without_being_repeated() {
        for (url, why) in [
            ("postgres://me:s3cret@h", "the name of one database must follow"),
            ("postgres://me:s3cret@h/a/b", "the name of one database must follow"),
            ("mysql://me:s3cret@h/", "the name of one database must follow"),
            // A password with characters that mean something in a URL.
            ("postgres://me:s3cret/x@h/t", "written as %XX"),
            ("mysql://me:s3cret#x@h/t", ""),
            ("postgres://me:x?s3cret@h/t", ""),
            ("postgres://me:s3cret@h/t?sslmod=require", "it has a parameter that is none of"),
            ("mysql://me:s3cret@h/t?tls=s3cret", "it has a parameter that is none of"),
            ("postgres://me:s3cret@h/t?sslmode=sometimes", ""),
            ("postgres://me:s3cret@h/t#x", "# has no meaning"),
        ] {
            let refused = match at(url) {
                Ok(database) => panic!("{url} is {database:?}"),
                Err(error) => error.to_string(),
            };
            assert!(refused.contains(why), "{url}: {refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
    }
}
