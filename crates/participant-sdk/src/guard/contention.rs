//! Telling "someone else was there first" from every other failure of a database.

use std::error::Error;

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// What another transaction did to this one. The same again may go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contention {
    /// This one was sacrificed, at once: a deadlock, a serialization failure, a file that is locked.
    Lost,
    /// It waited for a lock for as long as it may.
    Waited,
}

/// Whether the SQL transaction failed only because of another one.
pub(crate) fn contention(error: &DbErr) -> Option<Contention> {
    let cause = database_error(error)?;
    #[cfg(feature = "mysql")]
    if let Some(cause) = cause.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return contention_of_number(cause.number());
    }
    contention_of_code(&cause.code()?)
}

/// The same for what business code gave back, which may have wrapped the database's error.
pub(super) fn contention_behind(error: &(dyn Error + 'static)) -> Option<Contention> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(found) = error.downcast_ref().and_then(contention) {
            return Some(found);
        }
        link = error.source();
    }
    None
}

/// Whether a table or index could not be made because another session has just made it.
pub(super) fn is_made_meanwhile(error: &DbErr) -> bool {
    const UNIQUE_VIOLATION: &str = "23505";
    const DUPLICATE_TABLE: &str = "42P07";
    const DUPLICATE_OBJECT: &str = "42710";
    let code = database_error(error).and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| {
        [UNIQUE_VIOLATION, DUPLICATE_TABLE, DUPLICATE_OBJECT].contains(&code.as_ref())
    })
}

fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return None;
    };
    match cause.as_ref() {
        sqlx::Error::Database(cause) => Some(cause.as_ref()),
        _ => None,
    }
}

/// SQLite gives its extended result code, whose low byte is the primary one; PostgreSQL gives
/// an SQLSTATE of five characters.
fn contention_of_code(code: &str) -> Option<Contention> {
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    const SERIALIZATION_FAILURE: &str = "40001";
    const DEADLOCK_DETECTED: &str = "40P01";
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    match code {
        SERIALIZATION_FAILURE | DEADLOCK_DETECTED => Some(Contention::Lost),
        LOCK_NOT_AVAILABLE => Some(Contention::Waited),
        _ if code.len() == 5 => None,
        _ => match code.parse::<u32>().ok()? & 0xff {
            SQLITE_BUSY | SQLITE_LOCKED => Some(Contention::Lost),
            _ => None,
        },
    }
}

/// MySQL's SQLSTATE says too little (a lock wait that timed out is `HY000`, like most errors), so its
/// number is asked.
#[cfg(any(feature = "mysql", test))]
fn contention_of_number(number: u16) -> Option<Contention> {
    /// MariaDB with `innodb_snapshot_isolation`: the row changed since the snapshot.
    const RECORD_CHANGED: u16 = 1020;
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    const DEADLOCK: u16 = 1213;
    /// MySQL's `NOWAIT`, if business code uses it.
    const LOCK_NOWAIT: u16 = 3572;
    /// TiDB: another transaction wrote first.
    const TIDB_WRITE_CONFLICT: u16 = 9007;
    match number {
        RECORD_CHANGED | DEADLOCK | LOCK_NOWAIT | TIDB_WRITE_CONFLICT => Some(Contention::Lost),
        LOCK_WAIT_TIMEOUT => Some(Contention::Waited),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Option<Contention> = Some(Contention::Lost);
    const WAITED: Option<Contention> = Some(Contention::Waited);

    #[test]
    fn only_what_another_transaction_caused_is_contention() {
        let table = [
            ("5", LOST),       // SQLITE_BUSY
            ("517", LOST),     // SQLITE_BUSY_SNAPSHOT
            ("6", LOST),       // SQLITE_LOCKED
            ("262", LOST),     // SQLITE_LOCKED_SHAREDCACHE
            ("40001", LOST),   // serialization failure
            ("40P01", LOST),   // deadlock
            ("55P03", WAITED), // lock not available
            ("13", None),      // SQLITE_FULL
            ("2067", None),    // SQLITE_CONSTRAINT_UNIQUE
            ("23505", None),   // unique violation
            ("57014", None),   // query cancelled
            ("", None),
        ];
        for (code, expected) in table {
            assert_eq!(contention_of_code(code), expected, "{code}");
        }
    }

    #[test]
    fn mysql_is_understood_by_its_numbers() {
        let table = [(1205, WAITED), (1213, LOST), (1020, LOST), (1062, None), (1114, None)];
        for (number, expected) in table {
            assert_eq!(contention_of_number(number), expected, "{number}");
        }
    }
}
