//! Lists of transactions, newest first.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, TransactionTrait,
};
use tercet_protocol::Status;
use tercet_protocol::wire::{Cursor, ListQuery, Page, SummaryView};

use super::super::error::JournalError;
use super::each::readable;
use super::entities::{branch, detail, outcome, transaction};
use super::rows::summary;

/// A page of a list.
pub(super) async fn page(
    reading: &DatabaseConnection,
    query: &ListQuery,
) -> Result<Page<SummaryView>, JournalError> {
    let snapshot = reading.begin().await?;
    let read = read(&snapshot, query).await;
    // It has only read, so how it ends does not matter.
    let _ = snapshot.rollback().await;
    Ok(read?)
}

async fn read(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
) -> Result<Page<SummaryView>, DbErr> {
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut rows = newest(snapshot, query).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let names = || rows.iter().map(|row| row.gid.as_str());
    let details = detail::Entity::find().filter(detail::Column::Gid.is_in(names()));
    let details = readable(snapshot, details).await?;
    let details: HashMap<&str, &detail::Model> =
        details.iter().map(|row| (&*row.gid, row)).collect();
    let counts: Vec<(String, i64)> = branch::Entity::find()
        .select_only()
        .column(branch::Column::Gid)
        .column_as(branch::Column::BranchId.count(), "branches")
        .filter(branch::Column::Gid.is_in(names()))
        .group_by(branch::Column::Gid)
        .into_tuple()
        .all(snapshot)
        .await?;
    let counts: HashMap<String, i64> = counts.into_iter().collect();

    let resolved = outcome::Entity::find()
        .select_only()
        .column(outcome::Column::Gid)
        .column(outcome::Column::ResolvedAs)
        .filter(outcome::Column::Gid.is_in(names()))
        .filter(outcome::Column::ResolvedAs.is_not_null())
        .build(snapshot.get_database_backend());
    let mut resolutions: Vec<(String, String)> = Vec::new();
    for row in snapshot.query_all_raw(resolved).await? {
        // A word that is not even text is none of ours, and its transaction cannot be listed.
        resolutions.push((row.try_get_by_index(0)?, row.try_get_by_index(1).unwrap_or_default()));
    }

    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let of_it = resolutions.iter().filter(|(gid, _)| *gid == row.gid);
        let resolved: Vec<&str> = of_it.map(|(_, resolved_as)| &**resolved_as).collect();
        let branches = counts.get(&row.gid).and_then(|count| u32::try_from(*count).ok());
        match summary(row, details.get(&*row.gid).copied(), branches.unwrap_or(0), &resolved) {
            Ok(item) => items.push(item),
            Err(why) => tracing::error!(gid = row.gid, why, "a transaction cannot be listed"),
        }
    }
    let last = rows.last().filter(|_| more);
    let cursor = last.and_then(|row| {
        let created_at = tercet_protocol::Wall(row.created_at);
        row.gid.parse().ok().map(|gid| Cursor { created_at, gid })
    });
    Ok(Page { items, next_cursor: cursor.map(|cursor| cursor.to_string()) })
}

/// One row more than asked for, if there are so many, so that one knows whether a page follows.
///
/// Each status is asked for by itself and the answers are merged: then every statement walks
/// one index in the order wanted and stops after a page, however many rows there are.
async fn newest(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
) -> Result<Vec<transaction::Model>, DbErr> {
    let one_more = u64::from(query.limit).saturating_add(1);
    let unfinished_only = query.parked || query.participant.is_some();
    if query.statuses.is_empty() && !unfinished_only {
        return readable(snapshot, conditions(query).limit(one_more)).await;
    }
    let asked = |status: &&Status| {
        (query.statuses.is_empty() || query.statuses.contains(status))
            && !(unfinished_only && status.is_finished())
    };
    let mut rows = Vec::new();
    for status in Status::ALL.iter().filter(asked) {
        let of_status = conditions(query)
            .filter(transaction::Column::Status.eq(status.as_str()))
            .limit(one_more);
        rows.extend(readable(snapshot, of_status).await?);
    }
    rows.sort_by(|a, b| (b.created_at, &b.gid).cmp(&(a.created_at, &a.gid)));
    rows.truncate(usize::try_from(one_more).unwrap_or(usize::MAX));
    Ok(rows)
}

/// Everything but the status and the limit.
pub(super) fn conditions(query: &ListQuery) -> Select<transaction::Entity> {
    use transaction::Column;
    let mut select =
        transaction::Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::Gid);
    if let Some(after) = query.created_after {
        select = select.filter(Column::CreatedAt.gte(after.0));
    }
    if let Some(before) = query.created_before {
        select = select.filter(Column::CreatedAt.lt(before.0));
    }
    if let Some(Cursor { created_at, gid }) = &query.cursor {
        // The first condition alone bounds the walk over the index.
        select = select.filter(Column::CreatedAt.lte(created_at.0)).filter(
            Condition::any()
                .add(Column::CreatedAt.lt(created_at.0))
                .add(Column::Gid.lt(gid.as_str())),
        );
    }
    if query.parked {
        select = select.filter(Column::Parked.eq(true));
    }
    if let Some(participant) = &query.participant {
        let has_branch = Query::select()
            .expr(Expr::val(1))
            .from(branch::Entity)
            .and_where(
                Expr::col((branch::Entity, branch::Column::Gid))
                    .equals((transaction::Entity, Column::Gid)),
            )
            .and_where(branch::Column::Participant.eq(participant.as_str()))
            .to_owned();
        select = select.filter(Expr::exists(has_branch));
    }
    select
}
