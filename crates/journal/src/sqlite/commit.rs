//! Drives the commit machine on the connection that writes, from the journal's own thread.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode};
use sea_orm::Statement;
use tercet_engine::{Batch, TransactionKey};
use tercet_wire::Incarnation;

use super::dialect::Sqlite;
use super::writer::{execute, query};
use crate::meters::StatementMeters;
use crate::sql::{Answer, CommitMachine, Fault, Field, Step};
use crate::store::CommitError;

/// Writes a batch, or finds that it was written. Returns the lives left out because their gid
/// belongs to another. After an error the connection must be discarded, which ends the
/// transaction.
pub(super) fn commit(
    connection: &Connection,
    own: Incarnation,
    batch: &Batch,
    meters: &StatementMeters,
) -> Result<Vec<TransactionKey>, CommitError> {
    let mut machine = CommitMachine::new(Sqlite, own, batch)?;
    let mut step = machine.start();
    loop {
        // What is rolled back has written nothing.
        let is_counted = !matches!(step, Step::Done(_) | Step::Rollback);
        meters.statements.increment(u64::from(is_counted));
        let answer = match step {
            Step::Begin(fence) => begin(connection, &fence, meters),
            Step::Execute(statement) => execute(connection, &statement).map(Answer::Changed),
            Step::Query(statement) => query(connection, &statement, fields).map(Answer::Found),
            Step::Commit => {
                let committed = connection.execute_batch("COMMIT");
                meters.commits.increment(u64::from(committed.is_ok()));
                committed.map(|()| Answer::Ended)
            }
            Step::Rollback => connection.execute_batch("ROLLBACK").map(|()| Answer::Ended),
            Step::Done(done) => return done,
        };
        step = machine.next(answer.unwrap_or_else(|error| Answer::Failed(fault(&error))));
    }
}

fn begin(
    connection: &Connection,
    fence: &Statement,
    meters: &StatementMeters,
) -> Result<Answer, Error> {
    // It holds SQLite's write lock from its first moment, so that none of its statements can
    // fail for want of it.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    meters.statements.increment(1);
    execute(connection, fence).map(Answer::Changed)
}

fn fields(row: &rusqlite::Row<'_>) -> Result<Vec<Field>, Error> {
    let columns = 0..row.as_ref().column_count();
    columns.map(|column| row.get_ref(column).map(field)).collect()
}

fn field(value: ValueRef<'_>) -> Field {
    match value {
        ValueRef::Integer(number) => Field::Integer(number),
        ValueRef::Text(text) => {
            String::from_utf8(text.to_owned()).map_or(Field::Other, Field::Text)
        }
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Field::Other,
    }
}

/// Whether the values are at fault, so that they will never be taken. All else (locks, disks,
/// damage, a schema that is not ours) is not theirs, and may pass.
fn fault(error: &Error) -> Fault {
    use ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    let code = error.sqlite_error_code();
    let is_of_the_data = matches!(code, Some(TooBig | ConstraintViolation | TypeMismatch))
        || matches!(error, Error::ToSqlConversionFailure(_));
    match is_of_the_data {
        true => Fault::Rejected(error.to_string()),
        false => Fault::Again(error.to_string()),
    }
}
