//! The connection that writes, used from the journal's own thread.
//!
//! sea-orm's connections to SQLite have a thread each. It is woken for every statement and
//! wakes the one that waits for it, which for a small batch costs more than all that SQLite
//! does. The journal has a thread of its own already, with nothing else to do meanwhile.

use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, Error, OpenFlags, Row, ToSql, TransactionBehavior};
use sea_orm::{Statement, Value};

use super::address::SqliteFile;
use super::connect::{WAL_BYTES_KEPT, WAL_PAGES};
use crate::error::JournalError;

/// How long a batch waits for a lock that somebody from outside holds. Short: it is submitted
/// again, and meanwhile people are told.
const LOCK_WAIT: Duration = Duration::from_millis(200);
/// `synchronous`: what is committed is on the disk.
const FULL: i64 = 2;
/// Statements kept compiled: more than there are of those that one load needs.
const STATEMENTS_KEPT: usize = 128;

/// Opens it. A file that has gone meanwhile is not made anew: an empty one in its place would
/// only hide that.
pub(super) fn open(file: &SqliteFile) -> Result<Connection, JournalError> {
    // No other thread uses it at the same time, so that it needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file.path(), flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Rows refer to each other by gid, and the writer alone sees to it that they fit.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "synchronous", FULL)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    // What a statement may have to take back is kept in memory: a batch is bounded, and a file
    // for it costs an open and an unlink each time.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    expect(&connection)?;
    Ok(connection)
}

/// Opens one that only holds on to the file and its log.
pub(super) fn open_to_keep(file: &SqliteFile) -> Result<Connection, JournalError> {
    let connection = open(file)?;
    // Only who has read the file holds on to it.
    connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Copies what is in the log into the file, as far as nobody reads what stood there before.
pub(super) fn copy_log(connection: &Connection) -> Result<(), Error> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Refuses a connection that would not keep what it acknowledges.
pub(super) fn expect(connection: &Connection) -> Result<(), JournalError> {
    // A file system without shared memory, say, keeps SQLite from switching, and it does not mind.
    let found: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if found != "wal" {
        return Err(JournalError::NotDurable { setting: "journal_mode", found });
    }
    let found: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if found != FULL {
        return Err(JournalError::NotDurable { setting: "synchronous", found: found.to_string() });
    }
    Ok(())
}

/// Executes statements in one transaction, and says how many rows the last one changed.
pub(super) fn execute_all(
    connection: &mut Connection,
    statements: &[Statement],
) -> Result<u64, Error> {
    // From its first moment it holds SQLite's write lock, as that of a batch does.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut changed = 0;
    for statement in statements {
        changed = execute(&transaction, statement)?;
    }
    transaction.commit()?;
    Ok(changed)
}

/// Executes a statement, and says how many rows it changed.
pub(super) fn execute(connection: &Connection, statement: &Statement) -> Result<u64, Error> {
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    bind(&mut prepared, statement)?;
    Ok(u64::try_from(prepared.raw_execute()?).unwrap_or(u64::MAX))
}

/// Asks for rows, and makes something of each.
pub(super) fn query<T>(
    connection: &Connection,
    statement: &Statement,
    make: impl FnMut(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    bind(&mut prepared, statement)?;
    prepared.raw_query().mapped(make).collect()
}

fn bind(prepared: &mut rusqlite::Statement<'_>, statement: &Statement) -> Result<(), Error> {
    for (index, value) in statement.values.iter().flat_map(|values| values.iter()).enumerate() {
        prepared.raw_bind_parameter(index + 1, Bound(value))?;
    }
    Ok(())
}

/// A value as SQLite is given it.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        let value = match self.0 {
            Value::String(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Bool(Some(flag)) => ValueRef::Integer(i64::from(*flag)),
            Value::Int(Some(number)) => ValueRef::Integer(i64::from(*number)),
            Value::Unsigned(Some(number)) => ValueRef::Integer(i64::from(*number)),
            Value::BigInt(Some(number)) => ValueRef::Integer(*number),
            Value::String(None)
            | Value::Bool(None)
            | Value::Int(None)
            | Value::Unsigned(None)
            | Value::BigInt(None) => return Ok(ToSqlOutput::Owned(Owned::Null)),
            other => {
                let why = format!("no statement binds values like {other:?}");
                return Err(Error::ToSqlConversionFailure(why.into()));
            }
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}
