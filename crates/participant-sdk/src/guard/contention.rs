//! Telling "someone else was there first" from every other failure of a database.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Whether the SQL transaction failed only because of another one, so that the same again will do.
pub(super) fn is_contention(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))) = error
    else {
        return false;
    };
    match cause.as_ref() {
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| is_contention_code(&code)),
        _ => false,
    }
}

/// SQLite gives its extended result code, whose low byte is the primary one; the others give
/// an SQLSTATE of five characters.
fn is_contention_code(code: &str) -> bool {
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    const SERIALIZATION_FAILURE: &str = "40001";
    const DEADLOCK_DETECTED: &str = "40P01";
    match code {
        SERIALIZATION_FAILURE | DEADLOCK_DETECTED => true,
        _ if code.len() == 5 => false,
        _ => {
            code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, SQLITE_BUSY | SQLITE_LOCKED))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_transaction_caused_is_contention() {
        let table = [
            ("5", true),      // SQLITE_BUSY
            ("517", true),    // SQLITE_BUSY_SNAPSHOT
            ("6", true),      // SQLITE_LOCKED
            ("262", true),    // SQLITE_LOCKED_SHAREDCACHE
            ("40001", true),  // serialization failure
            ("40P01", true),  // deadlock
            ("13", false),    // SQLITE_FULL
            ("2067", false),  // SQLITE_CONSTRAINT_UNIQUE
            ("23505", false), // unique violation
            ("57014", false), // query cancelled
            ("", false),
        ];
        for (code, expected) in table {
            assert_eq!(is_contention_code(code), expected, "{code}");
        }
    }
}
