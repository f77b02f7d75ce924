//! What is past its retention, and its deletion. What is due is looked up beside the writer;
//! the deleting statements ask again whether the transaction has finished, and when.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Statement,
};
use tercet_wire::{Status, Wall};

use super::dialect::Dialect;
use super::entities::{branch, event, options, outcome, own_options, result, transaction};
use super::key::NARROW;
use super::lenient_rows::each;
use crate::error::JournalError;
use crate::store::{Keyset, PurgeBatch, PurgeLimits, first_within};

/// The tables whose rows stripping takes.
const PARTS: [&str; 5] = [
    "branch_transactions",
    "branch_options",
    "branch_outcomes",
    "branch_results",
    "transaction_events",
];

/// Rows of a transaction that stripping leaves: its own and its details.
const NARROW_ROWS: u64 = 2;

/// How many finished transactions there are.
pub(crate) async fn count_finished(
    recovery_pool: &DatabaseConnection,
) -> Result<u64, JournalError> {
    let mut finished = 0;
    for status in Status::ALL.iter().filter(|status| status.is_finished()) {
        // Of a column that the index holds, so that no row is read.
        let counted: Option<i64> = transaction::Entity::find()
            .select_only()
            .column_as(transaction::Column::Gid.count(), "finished")
            .filter(transaction::Column::Status.eq(status.as_str()))
            .into_tuple()
            .one(recovery_pool)
            .await?;
        finished += counted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    }
    Ok(finished)
}

/// The next transactions of a walk by begin, and those among them that may be stripped.
pub(crate) async fn due_for_pruning(
    recovery_pool: &DatabaseConnection,
    after: Option<&Keyset>,
    finished_before: Wall,
    most: PurgeLimits,
) -> Result<PurgeBatch, JournalError> {
    use transaction::Column;
    let mut walk = transaction::Entity::find()
        .filter(Column::CreatedAt.lt(finished_before.0))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Gid)
        .limit(u64::from(most.transactions));
    if let Some(Keyset { created_at, gid }) = after {
        let later = sea_orm::Condition::any()
            .add(Column::CreatedAt.gt(created_at.0))
            .add(Column::Gid.gt(gid.as_str()));
        walk = walk.filter(Column::CreatedAt.gte(created_at.0)).filter(later);
    }
    let (mut seen, full) = page(recovery_pool, walk, most).await?;
    let is_due =
        |row: &&transaction::Model| row.finished_at.is_some_and(|at| at < finished_before.0);
    let parts = parts(recovery_pool, seen.iter().filter(is_due)).await?;
    let rows = seen.iter().map(|row| parts.get(row.rows_key()).copied().unwrap_or(0));
    let first = first_within(most.rows, rows);
    let rest = first < seen.len();
    seen.truncate(first);
    // A damaged gid is no place to go on from; the one before it is.
    let last = seen.iter().rev().find_map(|row| {
        let created_at = Wall(row.created_at);
        row.gid.parse().ok().map(|gid| Keyset { created_at, gid })
    });
    // Without a step forward there is nothing more to come in this walk, unless what kept it
    // from one is deleted now.
    let more = rest || full && last.as_ref().is_some_and(|last| Some(last) != after);
    let due: Vec<_> = seen.iter().filter(|row| parts.contains_key(row.rows_key())).collect();
    Ok(PurgeBatch {
        oldest: due.iter().filter_map(|row| row.finished_at).min().map(Wall),
        gids: due.into_iter().map(|row| row.gid.clone()).collect(),
        finished_before,
        reached: last.or(after.cloned()),
        more,
    })
}

/// The oldest finished transactions by begin that may be forgotten.
pub(crate) async fn due_for_purging(
    recovery_pool: &DatabaseConnection,
    finished_before: Wall,
    most: PurgeLimits,
) -> Result<PurgeBatch, JournalError> {
    use transaction::Column;
    let (mut found, mut full) = (Vec::new(), false);
    for status in Status::ALL.iter().filter(|status| status.is_finished()) {
        // What finished before a moment was begun before it, which the index can tell.
        let of_status = transaction::Entity::find()
            .filter(Column::Status.eq(status.as_str()))
            .filter(Column::CreatedAt.lt(finished_before.0))
            .filter(Column::FinishedAt.lt(finished_before.0))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Gid)
            .limit(u64::from(most.transactions));
        let (of_status, is_full) = page(recovery_pool, of_status, most).await?;
        found.extend(of_status);
        full |= is_full;
    }
    found.sort_by(|a, b| (a.created_at, &a.gid).cmp(&(b.created_at, &b.gid)));
    found.truncate(usize::try_from(most.transactions).unwrap_or(usize::MAX));
    let mut parts = parts(recovery_pool, &found).await?;
    let keys: Vec<&str> = found.iter().map(transaction::Model::rows_key).collect();
    count(recovery_pool, &mut parts, own_options::Entity::find(), own_options::Column::Gid, &keys)
        .await?;
    let rows =
        found.iter().map(|row| NARROW_ROWS + parts.get(row.rows_key()).copied().unwrap_or(0));
    let first = first_within(most.rows, rows);
    let more = full || first < found.len();
    found.truncate(first);
    Ok(PurgeBatch {
        oldest: found.iter().filter_map(|row| row.finished_at).min().map(Wall),
        gids: found.into_iter().map(|row| row.gid).collect(),
        finished_before,
        reached: None,
        more,
    })
}

/// Reads a page of transactions; says whether it is full. Rows that cannot be read are left
/// out and left alone.
async fn page(
    recovery_pool: &DatabaseConnection,
    select: Select<transaction::Entity>,
    most: PurgeLimits,
) -> Result<(Vec<transaction::Model>, bool), DbErr> {
    let page = each(recovery_pool, select).await?;
    let full = u32::try_from(page.len()).is_ok_and(|seen| seen == most.transactions);
    Ok((page.into_iter().filter_map(Result::ok).collect(), full))
}

/// How many rows these transactions have beside their own and their details, by what those stand under. Those that
/// have none are not in it.
async fn parts(
    recovery_pool: &DatabaseConnection,
    of: impl IntoIterator<Item = &transaction::Model>,
) -> Result<HashMap<String, u64>, DbErr> {
    let keys: Vec<&str> = of.into_iter().map(transaction::Model::rows_key).collect();
    let mut rows = HashMap::new();
    if keys.is_empty() {
        return Ok(rows);
    }
    count(recovery_pool, &mut rows, branch::Entity::find(), branch::Column::Gid, &keys).await?;
    count(recovery_pool, &mut rows, options::Entity::find(), options::Column::Gid, &keys).await?;
    count(recovery_pool, &mut rows, outcome::Entity::find(), outcome::Column::Gid, &keys).await?;
    count(recovery_pool, &mut rows, result::Entity::find(), result::Column::Gid, &keys).await?;
    count(recovery_pool, &mut rows, event::Entity::find(), event::Column::Gid, &keys).await?;
    Ok(rows)
}

/// Adds how many rows of a table belong to each.
async fn count<E: EntityTrait>(
    recovery_pool: &DatabaseConnection,
    rows: &mut HashMap<String, u64>,
    table: Select<E>,
    key: E::Column,
    keys: &[&str],
) -> Result<(), DbErr> {
    let of_each = table
        .select_only()
        .column(key)
        .column_as(Expr::col(key).count(), "of_each")
        .filter(key.is_in(keys.iter().copied()))
        .group_by(key)
        .build(recovery_pool.get_database_backend());
    for row in recovery_pool.query_all_raw(of_each).await? {
        let of_one: i64 = row.try_get_by_index(1)?;
        *rows.entry(row.try_get_by_index(0)?).or_default() += u64::try_from(of_one).unwrap_or(0);
    }
    Ok(())
}

/// Deletes branches, outcomes, results and history of what is due.
pub(crate) fn pruning(dialect: impl Dialect, due: &PurgeBatch) -> Vec<Statement> {
    PARTS.map(|table| dialect.delete(table, due)).into()
}

/// Deletes all of what is due, its parts first. The last changes as many rows as there were
/// transactions.
pub(crate) fn purging(dialect: impl Dialect, due: &PurgeBatch) -> Vec<Statement> {
    let narrow = ["transaction_options", "global_details", NARROW];
    PARTS.into_iter().chain(narrow).map(|table| dialect.delete(table, due)).collect()
}
