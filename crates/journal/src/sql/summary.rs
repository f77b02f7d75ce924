//! What there is, counted.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Statement, TransactionTrait,
};
use tercet_wire::{Incarnation, Status, Wall};

use super::dialect::Dialect;
pub(crate) use super::entities::node::Model as LifeOfNode;
use super::entities::{node, options, transaction};
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
pub(crate) const NODES: &str = "SELECT incarnation, node_id, url, state, batch_no, protocol, \
     started_at, written_at FROM nodes ORDER BY node_id";

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
        let oldest: Option<i64> = oldest(*status).into_tuple().one(snapshot).await?;
        let oldest = oldest.map(Wall);
        summary.oldest_unfinished = summary.oldest_unfinished.into_iter().chain(oldest).min();
        let parked: Option<i64> = parked(*status).into_tuple().one(snapshot).await?;
        summary.parked += parked.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    }
    let nodes = lives(snapshot, dialect.nodes()).await?;
    let mut drivers = BTreeMap::new();
    for row in snapshot.query_all_raw(owned().build(snapshot.get_database_backend())).await? {
        // An owner that is no number is no life.
        let owner = row.try_get_by_index::<i64>(0).unwrap_or_default();
        drivers.insert(owner, u64::try_from(row.try_get_by_index::<i64>(1)?).unwrap_or(0));
    }
    let driven = |row: &node::Model| drivers.get(&row.incarnation).copied().unwrap_or(0);
    summary.nodes = nodes.into_iter().map(|row| node_row(driven(&row), row)).collect();
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

/// How many each drives, of columns that the index of owners holds; finished ones have none.
pub(crate) fn owned() -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .select_only()
        .column(Column::Owner)
        .column_as(Column::Gid.count(), "transactions")
        .filter(Column::Owner.is_not_null())
        .group_by(Column::Owner)
}

/// When the first of those of this status was begun that counts as waiting: a message that is put
/// off waits for nobody until its time. How long that is stands in no column, so of those with
/// such a branch only what is shown to people counts.
pub(crate) fn oldest(status: Status) -> Select<transaction::Entity> {
    use transaction::Column;
    let of_status = transaction::Entity::find()
        .select_only()
        .column(Column::CreatedAt)
        .filter(Column::Status.eq(status.as_str()))
        .order_by_asc(Column::CreatedAt);
    match status {
        Status::Confirming => {
            let puts_off = Query::select()
                .expr(Expr::val(1))
                .from(options::Entity)
                .and_where(
                    Expr::col((options::Entity, options::Column::Gid))
                        .equals((transaction::Entity, Column::Gid)),
                )
                .and_where(options::Column::Options.like(PUTS_OFF))
                .to_owned();
            of_status.filter(Column::Parked.eq(true).or(Expr::exists(puts_off).not()))
        }
        Status::Trying | Status::Cancelling | Status::Confirmed | Status::Cancelled => of_status,
    }
}

/// What the options of a branch say whose Confirm is put off. An id has no quotes.
const PUTS_OFF: &str = "%\"confirm_after_ms\":%";

/// Reads the rows of that status; those of unfinished ones are not many.
pub(crate) fn parked(status: Status) -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .select_only()
        .column_as(Column::Gid.count(), "parked")
        .filter(Column::Status.eq(status.as_str()))
        .filter(Column::Parked.eq(true))
}

/// The rows of all lives, by the statement that asks for them.
pub(crate) async fn lives(
    on: &impl ConnectionTrait,
    nodes: Statement,
) -> Result<Vec<LifeOfNode>, DbErr> {
    readable_rows::<node::Entity>(on, nodes).await
}

fn node_row(owned: u64, row: node::Model) -> NodeRow {
    NodeRow {
        owned,
        node_id: row.node_id,
        url: row.url,
        incarnation: Incarnation(row.incarnation),
        state: row.state,
        batches: u64::try_from(row.batch_no).unwrap_or(0),
        protocol: row.protocol,
        started_at: Wall(row.started_at),
        written_at: row.written_at.map(Wall),
    }
}
