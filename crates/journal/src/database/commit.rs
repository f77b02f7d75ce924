//! One batch as one SQL transaction.

use std::collections::HashMap;

use rusqlite::{Connection, Error, ErrorCode, Transaction};
use tercet_wire::{Incarnation, Instance};

use super::super::batch::Batch;
use super::super::batch_plan::{TransactionDelta, deltas};
use super::super::error::JournalError;
use super::super::meters::StatementMeters;
use super::super::store::CommitError;
use super::super::transaction_key::TransactionKey;
use super::incarnation::{Turn, take_turn};
use super::statements::{self, Write};
use super::writer::{begin, execute, query};

/// Writes a batch, or finds that it was written. Returns the lives left out because their gid
/// belongs to another.
pub(super) fn commit(
    connection: &mut Connection,
    own: Incarnation,
    batch: &Batch,
    meters: &StatementMeters,
) -> Result<Vec<TransactionKey>, CommitError> {
    let deltas = deltas(&batch.records)?;
    meters.statements.increment(1);
    let transaction = begin(connection)?;
    // The turn is known, and with it that this batch is to be written, before COMMIT is sent.
    match write(&transaction, own, batch, deltas, meters) {
        Ok((Turn::Write, taken)) => {
            meters.statements.increment(1);
            // Whatever COMMIT says when it fails, the outcome may be unknown: look again.
            transaction.commit().map_err(|error| CommitError::Again(error.to_string()))?;
            meters.commits.increment(1);
            Ok(taken)
        }
        Ok((Turn::Written, taken)) => {
            transaction.rollback()?;
            Ok(taken)
        }
        // The connection is discarded, which ends the transaction.
        Err(error) => Err(error),
    }
}

fn write(
    transaction: &Transaction<'_>,
    own: Incarnation,
    batch: &Batch,
    mut deltas: Vec<TransactionDelta<'_>>,
    meters: &StatementMeters,
) -> Result<(Turn, Vec<TransactionKey>), CommitError> {
    meters.statements.increment(1);
    let turn = take_turn(transaction, own, batch.number, batch.written_at)?;
    if turn == Turn::Written {
        return Ok((turn, taken_from(transaction, &deltas)?));
    }
    let mut taken = Vec::new();
    if let Some(begin) = statements::begin(&deltas, own) {
        meters.statements.increment(1);
        let inserted = execute(transaction, &begin.statement)?;
        if inserted < begin.rows {
            taken = taken_from(transaction, &deltas)?;
            let left = u64::try_from(taken.len()).unwrap_or(u64::MAX);
            if inserted + left != begin.rows {
                let why = "a transaction that begins is there already".to_owned();
                return Err(CommitError::Rejected(why));
            }
            deltas.retain(|deltas| {
                !taken
                    .iter()
                    .any(|life| life.gid == *deltas.gid && life.instance == deltas.instance)
            });
        }
    }
    if let Some(advance) = statements::advance(&deltas) {
        meters.statements.increment(1);
        change(transaction, &advance)?;
    }
    if let Some(stay) = statements::stay(&deltas) {
        meters.statements.increment(1);
        let found: Vec<i64> = query(transaction, &stay.statement, |row| row.get(0))?;
        check(stay.what, stay.rows, u64::try_from(found.into_iter().sum::<i64>()).unwrap_or(0))?;
    }
    for write in statements::rest(&deltas) {
        meters.statements.increment(1);
        change(transaction, &write)?;
    }
    Ok((turn, taken))
}

fn change(transaction: &Transaction<'_>, write: &Write) -> Result<(), CommitError> {
    check(write.what, write.rows, execute(transaction, &write.statement)?)
}

/// The guard of every write: fewer rows than it must change mean that one of them is not in
/// the state the change starts from.
fn check(what: &str, wanted: u64, found: u64) -> Result<(), CommitError> {
    if found == wanted {
        Ok(())
    } else {
        Err(CommitError::Rejected(format!("{what}: {found} of {wanted} rows are as expected")))
    }
}

/// The lives that begin here although another holds their gid.
fn taken_from(
    transaction: &Transaction<'_>,
    deltas: &[TransactionDelta<'_>],
) -> Result<Vec<TransactionKey>, CommitError> {
    let begun = || deltas.iter().filter(|deltas| deltas.begun.is_some());
    if begun().next().is_none() {
        return Ok(Vec::new());
    }
    let ask = statements::holders(begun().map(|deltas| deltas.gid));
    let held = query(transaction, &ask, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let holders: HashMap<String, String> = held.into_iter().collect();
    let other = |deltas: &&TransactionDelta<'_>| {
        let holder = holders.get(deltas.gid.as_str());
        // A holder that is no instance at all is another one too.
        holder.is_some_and(|holder| holder.parse() != Ok::<Instance, _>(deltas.instance))
    };
    let life = |deltas: &TransactionDelta<'_>| TransactionKey {
        gid: deltas.gid.clone(),
        instance: deltas.instance,
    };
    Ok(begun().filter(other).map(life).collect())
}

impl From<JournalError> for CommitError {
    fn from(error: JournalError) -> Self {
        match error {
            // SQLite's own words say more than ours about it.
            JournalError::Writing(error) => Self::Again(error.to_string()),
            other => Self::Again(other.to_string()),
        }
    }
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        if is_of_the_data(&error) {
            Self::Rejected(error.to_string())
        } else {
            Self::Again(error.to_string())
        }
    }
}

/// Whether the values are at fault, so that they will never be taken. All else (locks, disks,
/// damage, a schema that is not ours) is not theirs, and may pass.
fn is_of_the_data(error: &Error) -> bool {
    use ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    let code = error.sqlite_error_code();
    matches!(code, Some(TooBig | ConstraintViolation | TypeMismatch))
        || matches!(error, Error::ToSqlConversionFailure(_))
}
