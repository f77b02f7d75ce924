//! What there is, counted.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect,
    QueryTrait, Select, TransactionTrait,
};
use tercet_wire::{Incarnation, Status, Wall};

use super::dialect::Dialect;
use super::entities::{node, transaction};
use super::lenient_rows::readable_rows;
use crate::error::JournalError;
use crate::summary::{JournalSummary, NodeRow};

/// What there is, counted at one moment.
pub(crate) async fn summary(
    recovery_pool: &DatabaseConnection,
    dialect: impl Dialect,
) -> Result<JournalSummary, JournalError> {
    let snapshot = recovery_pool.begin().await?;
    let counted = count(&snapshot, dialect).await;
    // It has only read, so how it ends does not matter.
    let _ = snapshot.rollback().await;
    Ok(counted?)
}

/// All rows of `nodes`, where each holds the number of its last batch itself.
pub(crate) const NODES: &str = "SELECT incarnation, node_id, url, state, batch_no, started_at, \
     written_at FROM nodes ORDER BY node_id";

async fn count(
    snapshot: &impl ConnectionTrait,
    dialect: impl Dialect,
) -> Result<JournalSummary, DbErr> {
    let mut summary = JournalSummary::default();
    let counts = by_status().build(snapshot.get_database_backend());
    for row in snapshot.query_all_raw(counts).await? {
        let count = u64::try_from(row.try_get_by_index::<i64>(1)?).unwrap_or(0);
        // A word that is not even text is no status either.
        let word = row.try_get_by_index::<String>(0).unwrap_or_default();
        match word.parse::<Status>() {
            Ok(status) => {
                summary.by_status.insert(status, count);
            }
            Err(_) => summary.of_no_status += count,
        }
    }
    for status in Status::ALL.iter().filter(|status| !status.is_finished()) {
        let oldest: Option<Option<i64>> = oldest(*status).into_tuple().one(snapshot).await?;
        let oldest = oldest.flatten().map(Wall);
        summary.oldest_unfinished = summary.oldest_unfinished.into_iter().chain(oldest).min();
        let parked: Option<i64> = parked(*status).into_tuple().one(snapshot).await?;
        summary.parked += parked.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    }
    let nodes = readable_rows::<node::Entity>(snapshot, dialect.nodes()).await?;
    summary.nodes = nodes.into_iter().map(node_row).collect();
    Ok(summary)
}

/// Of columns that the index of statuses holds, so that no row is read.
pub(crate) fn by_status() -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .select_only()
        .column(Column::Status)
        .column_as(Column::Gid.count(), "transactions")
        .group_by(Column::Status)
}

pub(crate) fn oldest(status: Status) -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .select_only()
        .column_as(Column::CreatedAt.min(), "oldest")
        .filter(Column::Status.eq(status.as_str()))
}

/// Reads the rows of that status; those of unfinished ones are not many.
pub(crate) fn parked(status: Status) -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .select_only()
        .column_as(Column::Gid.count(), "parked")
        .filter(Column::Status.eq(status.as_str()))
        .filter(Column::Parked.eq(true))
}

fn node_row(row: node::Model) -> NodeRow {
    NodeRow {
        node_id: row.node_id,
        url: row.url,
        incarnation: Incarnation(row.incarnation),
        state: row.state,
        batches: u64::try_from(row.batch_no).unwrap_or(0),
        started_at: Wall(row.started_at),
        written_at: row.written_at.map(Wall),
    }
}
