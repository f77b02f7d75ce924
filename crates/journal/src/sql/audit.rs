//! What operators did: read newest first, and deleted when it is past its time.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Statement,
};
use tercet_wire::{AuditEntryView, AuditPlace, AuditQuery, Page, Wall};

use super::entities::audit;
use super::lenient_rows::each;
use super::rows::audit_entry;
use crate::error::JournalError;
use crate::store::AuditDue;

/// A page of the audit.
pub(crate) async fn page(
    query_pool: &DatabaseConnection,
    query: &AuditQuery,
) -> Result<Page<AuditEntryView>, JournalError> {
    // One row more than asked for, so that one knows whether a page follows.
    let wanted = conditions(query).limit(u64::from(query.limit).saturating_add(1));
    let mut rows = each(query_pool, wanted).await?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut items = Vec::with_capacity(rows.len());
    // A damaged row is no place to go on from; the one before it is.
    let mut last = None;
    for row in rows {
        let read = row.map_err(|error| error.to_string()).and_then(|row| audit_entry(&row));
        match read {
            Ok(entry) => {
                last = Some(AuditPlace { at: entry.at, id: entry.id });
                items.push(entry);
            }
            Err(why) => tracing::error!(
                event = "row_unreadable",
                table = "audit",
                why,
                "a row of the audit cannot be read"
            ),
        }
    }
    let next_cursor = last.filter(|_| more).map(|last| query.cursor(&last));
    Ok(Page { items, next_cursor })
}

/// Everything but the limit.
pub(crate) fn conditions(query: &AuditQuery) -> Select<audit::Entity> {
    use audit::Column;
    let mut select = audit::Entity::find().order_by_desc(Column::At).order_by_desc(Column::Id);
    if let Some(gid) = &query.gid {
        select = select.filter(Column::Gid.eq(gid.as_str()));
    }
    if let Some(who) = &query.who {
        select = select.filter(Column::Who.eq(who.as_str()));
    }
    if let Some(action) = query.action {
        select = select.filter(Column::Action.eq(action.as_str()));
    }
    if let Some(since) = query.since {
        select = select.filter(Column::At.gte(since.0));
    }
    if let Some(AuditPlace { at, id }) = query.after {
        // The first condition alone bounds the walk over the index.
        let older = Condition::any().add(Column::At.lt(at.0)).add(Column::Id.lt(id.to_string()));
        select = select.filter(Column::At.lte(at.0)).filter(older);
    }
    select
}

/// The oldest rows from before a moment.
pub(crate) async fn due(
    recovery_pool: &DatabaseConnection,
    before: Wall,
    most: u32,
) -> Result<AuditDue, JournalError> {
    let oldest = oldest(before, most).build(recovery_pool.get_database_backend());
    let rows = recovery_pool.query_all_raw(oldest).await?;
    let rows: Vec<Place> =
        rows.iter().filter_map(|row| Place::from_query_result(row, "").ok()).collect();
    Ok(AuditDue {
        more: u32::try_from(rows.len()).is_ok_and(|found| found == most),
        oldest: rows.first().map(|row| Wall(row.at)),
        ids: rows.into_iter().map(|row| row.id).collect(),
    })
}

/// A row's place, whatever else it holds.
#[derive(Debug, FromQueryResult)]
struct Place {
    id: String,
    at: i64,
}

pub(crate) fn oldest(before: Wall, most: u32) -> Select<audit::Entity> {
    use audit::Column;
    audit::Entity::find()
        .select_only()
        .columns([Column::Id, Column::At])
        .filter(Column::At.lt(before.0))
        .order_by_asc(Column::At)
        .order_by_asc(Column::Id)
        .limit(u64::from(most))
}

/// Deletes them.
pub(crate) fn deletion(on: &DatabaseConnection, due: &AuditDue) -> Statement {
    let ids = due.ids.iter().map(String::as_str);
    let delete = audit::Entity::delete_many().filter(audit::Column::Id.is_in(ids));
    delete.build(on.get_database_backend())
}
