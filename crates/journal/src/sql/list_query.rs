//! The newest transactions that a list asks for, damaged ones passed by: where the next page
//! begins does not depend on what can be read of them.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
};
use tercet_wire::{Cursor, ListQuery, Pattern, Status, Wall};

use super::entities::{branch, transaction};
use crate::store::Keyset;

/// Sagas; see `migrations`.
const OF_SAGAS: &str = "pattern = 'saga'";

/// What a page is made of.
pub(crate) struct Newest {
    /// Newest first, at most as many as asked for.
    pub(crate) rows: Vec<transaction::Model>,
    /// The last place that was come to, if something may follow it.
    pub(crate) next: Option<Keyset>,
}

/// One row as it was found.
struct Found {
    /// Its place, if its gid and its begin can be read.
    place: Option<Keyset>,
    model: Result<transaction::Model, DbErr>,
}

/// The newest of a list, from its cursor on.
///
/// Each status is asked for by itself and the answers are merged: then every statement walks
/// one index in the order wanted and stops after a page, however many rows there are.
pub(crate) async fn newest(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
) -> Result<Newest, DbErr> {
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    // One row more than asked for, so that one knows whether a page follows.
    let mut wanted = u64::from(query.limit).saturating_add(1);
    loop {
        let mut rows: Vec<(Keyset, Result<transaction::Model, DbErr>)> = Vec::new();
        // Behind this may be more that was not fetched.
        let mut horizon: Option<Keyset> = None;
        let mut lost = false;
        for select in selects(query) {
            let fetched = fetch(snapshot, select.limit(wanted)).await?;
            let is_full = u64::try_from(fetched.len()).is_ok_and(|rows| rows >= wanted);
            let before = rows.len();
            for found in fetched {
                match found.place {
                    Some(place) => rows.push((place, found.model)),
                    None => tell(found.model.err(), ""),
                }
            }
            if is_full {
                match rows[before..].last() {
                    Some((last, _)) => horizon = horizon.max(Some(last.clone())),
                    None => lost = true,
                }
            }
        }
        if lost {
            // None of a whole page has a place to go on from: what is behind is read with it.
            wanted = wanted.saturating_mul(2);
            continue;
        }
        rows.sort_by(|(a, _), (b, _)| b.cmp(a));
        let fetched = rows.len();
        rows.retain(|(place, _)| horizon.as_ref().is_none_or(|horizon| place >= horizon));
        rows.truncate(limit);
        let more = horizon.is_some() || rows.len() < fetched;
        let next = rows.last().filter(|_| more).map(|(place, _)| place.clone());
        let mut readable = Vec::with_capacity(rows.len());
        for (place, model) in rows {
            match model {
                Ok(model) => readable.push(model),
                Err(error) => tell(Some(error), place.gid.as_str()),
            }
        }
        return Ok(Newest { rows: readable, next });
    }
}

fn tell(error: Option<DbErr>, gid: &str) {
    let why = error.map_or_else(|| "its gid is none".to_owned(), |error| error.to_string());
    tracing::error!(event = "transaction_not_listed", gid, why, "a transaction cannot be listed");
}

async fn fetch(
    snapshot: &impl ConnectionTrait,
    select: Select<transaction::Entity>,
) -> Result<Vec<Found>, DbErr> {
    let rows = snapshot.query_all_raw(select.build(snapshot.get_database_backend())).await?;
    let found = |row: &QueryResult| {
        let begun = row.try_get::<i64>("", "created_at").ok().map(Wall);
        let gid = row.try_get::<String>("", "gid").ok().and_then(|gid| gid.parse().ok());
        Found {
            place: begun.zip(gid).map(|(created_at, gid)| Keyset { created_at, gid }),
            model: transaction::Model::from_query_result(row, ""),
        }
    };
    Ok(rows.iter().map(found).collect())
}

/// What is to be merged.
fn selects(query: &ListQuery) -> Vec<Select<transaction::Entity>> {
    let unfinished_only = query.parked || query.participant.is_some();
    if query.statuses.is_empty() && !unfinished_only {
        return vec![conditions(query)];
    }
    let asked = |status: &&Status| {
        (query.statuses.is_empty() || query.statuses.contains(status))
            && !(unfinished_only && status.is_finished())
    };
    let of_status =
        |status: &Status| conditions(query).filter(transaction::Column::Status.eq(status.as_str()));
    Status::ALL.iter().filter(asked).map(of_status).collect()
}

/// Everything but the status and the limit.
pub(crate) fn conditions(query: &ListQuery) -> Select<transaction::Entity> {
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
    if let Some(pattern) = query.pattern {
        // As it stands in the index of the few, which is used for just these words.
        select = match pattern {
            Pattern::Saga => select.filter(Expr::cust(OF_SAGAS)),
            Pattern::Tcc => select.filter(Column::Pattern.eq(pattern.as_str())),
        };
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
