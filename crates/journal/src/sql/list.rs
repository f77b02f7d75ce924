//! Pages of lists of transactions.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect,
    QueryTrait, TransactionTrait,
};
use tercet_wire::{ListQuery, Page, Status, SummaryView};

use super::entities::{branch, detail, outcome, own_options, transaction};
use super::holds;
use super::lenient_rows::readable;
use super::list_walk::{Listed, listed};
use super::rows::{ByHand, can_have_options, summary};
use crate::error::JournalError;

/// A page of a list.
pub(crate) async fn page(
    recovery_pool: &DatabaseConnection,
    query: &ListQuery,
) -> Result<Page<SummaryView>, JournalError> {
    let snapshot = recovery_pool.begin().await?;
    let read = read(&snapshot, query).await;
    // It has only read, so how it ends does not matter.
    let _ = snapshot.rollback().await;
    Ok(read?)
}

async fn read(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
) -> Result<Page<SummaryView>, DbErr> {
    let Listed { rows, next } = listed(snapshot, query).await?;
    let keys = || rows.iter().map(transaction::Model::rows_key);
    let details = detail::Entity::find().filter(detail::Column::Gid.is_in(keys()));
    let details = readable(snapshot, details).await?;
    let details: HashMap<&str, &detail::Model> =
        details.iter().map(|row| (&*row.gid, row)).collect();
    let mut own_options = Vec::new();
    if rows.iter().any(can_have_options) {
        let found = own_options::Entity::find().filter(own_options::Column::Gid.is_in(keys()));
        own_options = readable(snapshot, found).await?;
    }
    let own_options: HashMap<&str, &own_options::Model> =
        own_options.iter().map(|row| (&*row.gid, row)).collect();
    let counts: Vec<(String, i64)> = branch::Entity::find()
        .select_only()
        .column(branch::Column::Gid)
        .column_as(branch::Column::BranchId.count(), "branches")
        .filter(branch::Column::Gid.is_in(keys()))
        .group_by(branch::Column::Gid)
        .into_tuple()
        .all(snapshot)
        .await?;
    let counts: HashMap<String, i64> = counts.into_iter().collect();

    let resolved = outcome::Entity::find()
        .select_only()
        .column(outcome::Column::Gid)
        .column(outcome::Column::ResolvedAs)
        .column(outcome::Column::Contradicted)
        .filter(outcome::Column::Gid.is_in(keys()))
        .filter(outcome::Column::ResolvedAs.is_not_null())
        .build(snapshot.get_database_backend());
    let mut by_hand: HashMap<String, Vec<ByHand>> = HashMap::new();
    for row in snapshot.query_all_raw(resolved).await? {
        let key: String = row.try_get_by_index(0)?;
        // A word that is not even text is none of ours, and its transaction cannot be listed.
        let resolved_as = row.try_get_by_index(1).unwrap_or_default();
        let contradicted = row.try_get_by_index(2).unwrap_or_default();
        by_hand.entry(key).or_default().push(ByHand { resolved_as, contradicted });
    }

    let is_trying = |row: &transaction::Model| row.status == Status::Trying.as_str();
    let hold = match rows.iter().any(is_trying) {
        true => holds::newest(snapshot).await?,
        false => None,
    };
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let key = row.rows_key();
        let resolved = by_hand.get(key).map(Vec::as_slice).unwrap_or_default();
        let branches = counts.get(key).and_then(|count| u32::try_from(*count).ok());
        let (detail, own_options) = (details.get(key).copied(), own_options.get(key).copied());
        match summary(row, detail, own_options, branches.unwrap_or(0), resolved, hold.as_ref()) {
            Ok(item) => items.push(item),
            Err(why) => tracing::error!(
                event = "transaction_not_listed",
                gid = row.gid,
                why,
                "a transaction cannot be listed"
            ),
        }
    }
    Ok(Page { items, next_cursor: next.map(|place| query.cursor(&place)) })
}
