//! Deletes rows of finished transactions. What is due is looked up beside the writer; the
//! deleting statements ask again whether the transaction has finished, and when.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement, Value,
};
use tercet_protocol::{Status, Wall};

use super::super::error::JournalError;
use super::super::store::{Forgotten, Place, Stripped};
use super::each::each;
use super::entities::transaction;
use super::incarnation::begin;

/// What one step may delete.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) gids: Vec<String>,
    /// When the transaction among them finished that has waited longest.
    oldest: Option<Wall>,
    /// The last transaction that a walk has seen.
    seen: Option<Place>,
    /// Whether there may be more.
    more: bool,
}

impl Due {
    /// What a step of stripping did that found nothing to delete.
    pub(super) fn nothing_deleted(&self) -> Stripped {
        Stripped { rows: 0, oldest: None, reached: self.seen.clone(), more: self.more }
    }
}

/// How many finished transactions there are.
pub(super) async fn count_finished(reading: &DatabaseConnection) -> Result<u64, JournalError> {
    let mut finished = 0;
    for status in Status::ALL.iter().filter(|status| status.is_finished()) {
        // Of a column that the index holds, so that no row is read.
        let counted: Option<i64> = transaction::Entity::find()
            .select_only()
            .column_as(transaction::Column::Gid.count(), "finished")
            .filter(transaction::Column::Status.eq(status.as_str()))
            .into_tuple()
            .one(reading)
            .await?;
        finished += counted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    }
    Ok(finished)
}

/// The next transactions of a walk by begin, and those among them that may be stripped.
pub(super) async fn due_for_stripping(
    reading: &DatabaseConnection,
    after: Option<&Place>,
    finished_before: Wall,
    rows: u32,
) -> Result<Due, JournalError> {
    use transaction::Column;
    let mut walk = transaction::Entity::find()
        .filter(Column::CreatedAt.lt(finished_before.0))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Gid)
        .limit(u64::from(rows));
    if let Some(Place { created_at, gid }) = after {
        let later = sea_orm::Condition::any()
            .add(Column::CreatedAt.gt(created_at.0))
            .add(Column::Gid.gt(gid.as_str()));
        walk = walk.filter(Column::CreatedAt.gte(created_at.0)).filter(later);
    }
    let (seen, full) = page(reading, walk, rows).await?;
    // A damaged gid is no place to go on from; the one before it is.
    let last = seen.iter().rev().find_map(|row| {
        let created_at = Wall(row.created_at);
        row.gid.parse().ok().map(|gid| Place { created_at, gid })
    });
    // Without a step forward there is nothing more to come in this walk.
    let more = full && last.as_ref().is_some_and(|last| Some(last) != after);
    let due = seen.iter().filter(|row| row.finished_at.is_some_and(|at| at < finished_before.0));
    let oldest = due.clone().filter_map(|row| row.finished_at).min().map(Wall);
    let gids = due.map(|row| row.gid.clone()).collect();
    Ok(Due { gids, oldest, seen: last.or(after.cloned()), more })
}

/// The oldest finished transactions by begin that may be forgotten.
pub(super) async fn due_for_forgetting(
    reading: &DatabaseConnection,
    finished_before: Wall,
    rows: u32,
) -> Result<Due, JournalError> {
    use transaction::Column;
    let (mut found, mut more) = (Vec::new(), false);
    for status in Status::ALL.iter().filter(|status| status.is_finished()) {
        // What finished before a moment was begun before it, which the index can tell.
        let of_status = transaction::Entity::find()
            .filter(Column::Status.eq(status.as_str()))
            .filter(Column::CreatedAt.lt(finished_before.0))
            .filter(Column::FinishedAt.lt(finished_before.0))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Gid)
            .limit(u64::from(rows));
        let (readable, full) = page(reading, of_status, rows).await?;
        found.extend(readable);
        more |= full;
    }
    found.sort_by(|a, b| (a.created_at, &a.gid).cmp(&(b.created_at, &b.gid)));
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let oldest = found.iter().filter_map(|row| row.finished_at).min().map(Wall);
    Ok(Due { gids: found.into_iter().map(|row| row.gid).collect(), oldest, seen: None, more })
}

/// Reads a page of at most `rows` rows; says whether it is full. Rows that cannot be read are
/// left out and left alone.
async fn page(
    reading: &DatabaseConnection,
    select: Select<transaction::Entity>,
    rows: u32,
) -> Result<(Vec<transaction::Model>, bool), DbErr> {
    let page = each(reading, select).await?;
    let full = u32::try_from(page.len()).is_ok_and(|seen| seen == rows);
    Ok((page.into_iter().filter_map(Result::ok).collect(), full))
}

/// Deletes branches, outcomes and history of what is due, at most `rows` rows of each table.
/// The walk goes on only when none of theirs is left.
pub(super) async fn strip(
    writing: &DatabaseConnection,
    due: &Due,
    after: Option<&Place>,
    finished_before: Wall,
    rows: u32,
) -> Result<Stripped, JournalError> {
    let transaction = begin(writing).await?;
    let parts = delete_parts(&transaction, due, finished_before, rows).await?;
    transaction.commit().await?;
    let reached = if parts.all { due.seen.clone() } else { after.cloned() };
    let oldest = due.oldest.filter(|_| parts.rows > 0);
    Ok(Stripped { rows: parts.rows, oldest, reached, more: due.more || !parts.all })
}

/// Deletes all of what is due, its parts first, at most `rows` rows of each table.
pub(super) async fn forget(
    writing: &DatabaseConnection,
    due: &Due,
    finished_before: Wall,
    rows: u32,
) -> Result<Forgotten, JournalError> {
    let transaction = begin(writing).await?;
    let parts = delete_parts(&transaction, due, finished_before, rows).await?;
    let mut transactions = 0;
    if parts.all {
        delete(&transaction, "global_details", "gid", due, finished_before, rows).await?;
        let narrow = "global_transactions";
        transactions = delete(&transaction, narrow, "gid", due, finished_before, rows).await?;
    }
    transaction.commit().await?;
    Ok(Forgotten { transactions, more: due.more || !parts.all, oldest: due.oldest })
}

struct Parts {
    rows: u64,
    /// Whether none is left.
    all: bool,
}

async fn delete_parts(
    transaction: &DatabaseTransaction,
    due: &Due,
    finished_before: Wall,
    rows: u32,
) -> Result<Parts, DbErr> {
    let mut parts = Parts { rows: 0, all: true };
    for (table, key) in [
        ("branch_transactions", "gid, branch_id"),
        ("branch_outcomes", "gid, branch_id"),
        ("transaction_events", "gid, number"),
    ] {
        let deleted = delete(transaction, table, key, due, finished_before, rows).await?;
        parts.rows += deleted;
        parts.all &= deleted < u64::from(rows);
    }
    Ok(parts)
}

/// Deletes at most `rows` rows of one table.
async fn delete(
    transaction: &DatabaseTransaction,
    table: &str,
    key: &str,
    due: &Due,
    finished_before: Wall,
    rows: u32,
) -> Result<u64, DbErr> {
    let marks = vec!["?"; due.gids.len()].join(",");
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE gid IN \
         (SELECT gid FROM global_transactions WHERE gid IN ({marks}) AND finished_at < ?) \
         LIMIT ?)"
    );
    let mut values: Vec<Value> = due.gids.iter().map(|gid| gid.as_str().into()).collect();
    values.extend([finished_before.0.into(), rows.into()]);
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    Ok(transaction.execute_raw(statement).await?.rows_affected())
}
