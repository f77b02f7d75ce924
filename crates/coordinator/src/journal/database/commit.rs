//! One batch as one SQL transaction.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr};
use tercet_protocol::{Incarnation, Instance};

use super::super::batch::Batch;
use super::super::error::JournalError;
use super::super::life::Life;
use super::super::meters::StatementMeters;
use super::super::net::{Net, net};
use super::super::store::CommitError;
use super::incarnation::{Turn, begin, take_turn};
use super::statements::{self, Write};

/// Writes a batch, or finds that it was written. Returns the lives left out because their gid
/// belongs to another.
pub(super) async fn commit(
    connection: &DatabaseConnection,
    own: Incarnation,
    batch: &Batch,
    meters: &StatementMeters,
) -> Result<Vec<Life>, CommitError> {
    let nets = net(&batch.records)?;
    meters.statements.increment(1);
    let transaction = begin(connection).await?;
    // The turn is known, and with it that this batch is to be written, before COMMIT is sent.
    match write(&transaction, own, batch, nets, meters).await {
        Ok((Turn::Write, taken)) => {
            meters.statements.increment(1);
            // Whatever COMMIT says when it fails, the outcome may be unknown: look again.
            transaction.commit().await.map_err(|error| CommitError::Again(error.to_string()))?;
            meters.commits.increment(1);
            Ok(taken)
        }
        Ok((Turn::Written, taken)) => {
            transaction.rollback().await?;
            Ok(taken)
        }
        Err(error) => {
            // Should this fail too, the connection is discarded, which ends the transaction.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

async fn write(
    transaction: &DatabaseTransaction,
    own: Incarnation,
    batch: &Batch,
    mut nets: Vec<Net<'_>>,
    meters: &StatementMeters,
) -> Result<(Turn, Vec<Life>), CommitError> {
    meters.statements.increment(1);
    let turn = take_turn(transaction, own, batch.number, batch.written_at).await?;
    if turn == Turn::Written {
        return Ok((turn, taken_from(transaction, &nets).await?));
    }
    let mut taken = Vec::new();
    if let Some(begin) = statements::begin(&nets, own) {
        meters.statements.increment(1);
        let inserted = transaction.execute_raw(begin.statement).await?.rows_affected();
        if inserted < begin.rows {
            taken = taken_from(transaction, &nets).await?;
            let left = u64::try_from(taken.len()).unwrap_or(u64::MAX);
            if inserted + left != begin.rows {
                let why = "a transaction that begins is there already".to_owned();
                return Err(CommitError::Rejected(why));
            }
            nets.retain(|net| {
                !taken.iter().any(|life| life.gid == *net.gid && life.instance == net.instance)
            });
        }
    }
    if let Some(advance) = statements::advance(&nets) {
        meters.statements.increment(1);
        execute(transaction, advance).await?;
    }
    if let Some(stay) = statements::stay(&nets) {
        meters.statements.increment(1);
        let row = transaction.query_one_raw(stay.statement).await?;
        let found: i64 = row.map_or(Ok(0), |row| row.try_get("", "found"))?;
        check(stay.what, stay.rows, u64::try_from(found).unwrap_or(0))?;
    }
    for write in statements::rest(&nets) {
        meters.statements.increment(1);
        execute(transaction, write).await?;
    }
    Ok((turn, taken))
}

async fn execute(transaction: &DatabaseTransaction, write: Write) -> Result<(), CommitError> {
    let done = transaction.execute_raw(write.statement).await?;
    check(write.what, write.rows, done.rows_affected())
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
async fn taken_from(
    transaction: &DatabaseTransaction,
    nets: &[Net<'_>],
) -> Result<Vec<Life>, CommitError> {
    let begun = || nets.iter().filter(|net| net.begun.is_some());
    if begun().next().is_none() {
        return Ok(Vec::new());
    }
    let ask = statements::holders(begun().map(|net| net.gid));
    let mut holders: HashMap<String, String> = HashMap::new();
    for row in transaction.query_all_raw(ask).await? {
        holders.insert(row.try_get("", "gid")?, row.try_get("", "instance")?);
    }
    let other = |net: &&Net<'_>| {
        let holder = holders.get(net.gid.as_str());
        // A holder that is no instance at all is another one too.
        holder.is_some_and(|holder| holder.parse() != Ok::<Instance, _>(net.instance))
    };
    let life = |net: &Net<'_>| Life { gid: net.gid.clone(), instance: net.instance };
    Ok(begun().filter(other).map(life).collect())
}

impl From<JournalError> for CommitError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Database(error) => error.into(),
            other => Self::Again(other.to_string()),
        }
    }
}

impl From<DbErr> for CommitError {
    fn from(error: DbErr) -> Self {
        if is_of_the_data(&error) {
            Self::Rejected(error.to_string())
        } else {
            Self::Again(error.to_string())
        }
    }
}

/// Whether SQLite says that the values are at fault, so that they will never be taken. All
/// else (locks, disks, damage, a schema that is not ours) is not theirs, and may pass.
fn is_of_the_data(error: &DbErr) -> bool {
    const TOO_BIG: u32 = 18;
    const CONSTRAINT: u32 = 19;
    const MISMATCH: u32 = 20;
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) =
        error
    else {
        return false;
    };
    let code = cause.as_database_error().and_then(|error| error.code());
    // The lowest byte of an extended result code is the primary one.
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    matches!(primary, Some(TOO_BIG | CONSTRAINT | MISMATCH))
}
