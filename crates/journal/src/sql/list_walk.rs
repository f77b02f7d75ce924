//! The transactions that a list asks for, in its order, damaged ones passed by: where the next page
//! begins does not depend on what can be read of them.
//!
//! ```text
//!            gids begin so, and they are few?
//!  yes: by the key, put in order here     no: each status is walked by its index, and merged
//!                                             │ what no index has: so many rows at most
//!            metadata are read of what was found
//! ```
//!
//! A page says how far it has looked: the next one begins there, whatever was found.

use std::cmp::Ordering;
use std::collections::HashSet;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryResult,
    QuerySelect, QueryTrait, Select,
};
use serde_json::Value;
use tercet_wire::{GidPrefix, ListOrder, ListPlace, ListQuery, Status, Wall};

use super::entities::{detail, transaction};
use super::lenient_rows::readable;
use super::list_query::{among, asked_for, looks_through, of_prefix, place_after, statuses};
use super::read::MOST_GIDS;

/// Rows read at once of which only some may be taken.
const MOST_AT_ONCE: u32 = 500;

/// What a page is made of.
pub(super) struct Listed {
    /// In the list's order, at most as many as asked for.
    pub(super) rows: Vec<transaction::Model>,
    /// How far was looked, if something may follow.
    pub(super) next: Option<ListPlace>,
}

/// One row as it was found.
struct Found {
    /// Its place, if its gid and its begin can be read.
    place: Option<ListPlace>,
    model: Result<transaction::Model, DbErr>,
}

/// One that has a place.
type Placed = (ListPlace, Result<transaction::Model, DbErr>);

/// What was found in a part of the rows, and how far was looked; nothing where to the end.
struct Part {
    rows: Vec<Placed>,
    reached: Option<ListPlace>,
}

/// A page of a list, from its place on.
pub(super) async fn listed(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
) -> Result<Listed, DbErr> {
    let few = match &query.gid_prefix {
        Some(prefix) => few(snapshot, query, prefix).await?,
        None => None,
    };
    let parts = match few {
        Some(places) => vec![part_of(snapshot, query, &places).await?],
        None => {
            let mut parts = Vec::new();
            for status in statuses(query) {
                parts.push(part_walked(snapshot, query, status).await?);
            }
            parts
        }
    };
    Ok(merged(parts, query))
}

/// The rows of all parts as far as each was looked through.
fn merged(parts: Vec<Part>, query: &ListQuery) -> Listed {
    let (mut rows, mut reached) = (Vec::new(), Vec::new());
    for part in parts {
        rows.extend(part.rows);
        reached.extend(part.reached);
    }
    rows.sort_by(|(a, _), (b, _)| in_order(query.order, a, b));
    let horizon = reached.into_iter().min_by(|a, b| in_order(query.order, a, b));
    if let Some(horizon) = &horizon {
        rows.retain(|(place, _)| in_order(query.order, place, horizon).is_le());
    }
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|(place, _)| place.clone()) } else { horizon };
    let mut readable = Vec::with_capacity(rows.len());
    for (place, model) in rows {
        match model {
            Ok(model) => readable.push(model),
            Err(error) => tell(Some(error), place.gid.as_str()),
        }
    }
    Listed { rows: readable, next }
}

fn in_order(order: ListOrder, a: &ListPlace, b: &ListPlace) -> Ordering {
    match order {
        ListOrder::Newest => b.cmp(a),
        ListOrder::Oldest => a.cmp(b),
    }
}

/// One row more than asked for, so that one knows whether a page follows.
fn wanted(query: &ListQuery) -> u64 {
    u64::from(query.limit).saturating_add(1)
}

/// The first of one status that are asked for.
async fn part_walked(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
    status: Option<Status>,
) -> Result<Part, DbErr> {
    let on = snapshot.get_database_backend();
    let until = match looks_through(on, query) {
        true => until(snapshot, query, status).await?,
        false => None,
    };
    let wanted = wanted(query);
    // How many are read at once: where metadata are asked for, only some of them are taken.
    let mut size =
        if query.metadata.is_empty() { wanted } else { wanted.max(u64::from(MOST_AT_ONCE)) };
    let (mut rows, mut query) = (Vec::new(), query.clone());
    loop {
        let fetched =
            fetch(snapshot, asked_for(on, &query, status, until.as_ref()).limit(size)).await?;
        let is_full = u64::try_from(fetched.len()).is_ok_and(|rows| rows >= size);
        let last = fetched.iter().rev().find_map(|found| found.place.clone());
        if is_full && last.is_none() {
            // None of a whole page has a place to go on from: what is behind is read with it.
            size = size.saturating_mul(2);
            continue;
        }
        rows.extend(with_metadata(snapshot, &query, placed(fetched)).await?);
        if !is_full {
            return Ok(Part { rows, reached: until });
        }
        let has_enough = u64::try_from(rows.len()).is_ok_and(|rows| rows >= wanted);
        if has_enough || query.metadata.is_empty() {
            return Ok(Part { rows, reached: last });
        }
        query.after = last;
    }
}

/// Where a walk ends that may look at so many rows; nowhere if there are not so many.
async fn until(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
    status: Option<Status>,
) -> Result<Option<ListPlace>, DbErr> {
    let on = snapshot.get_database_backend();
    let mut rows = u64::from(query.looks_at.max(1));
    loop {
        let at = place_after(on, query, status, rows).build(on);
        match &*snapshot.query_all_raw(at).await? {
            [] | [_] => return Ok(None),
            [last, ..] => {
                if let Some(place) = place(last) {
                    return Ok(Some(place));
                }
                // It is damaged, and no place to go on from.
                rows = rows.saturating_add(1);
            }
        }
    }
}

/// The places of all whose gids begin so, in the list's order and from its place on; nothing where
/// they are too many.
async fn few(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
    prefix: &GidPrefix,
) -> Result<Option<Vec<ListPlace>>, DbErr> {
    let most = u64::from(query.looks_at);
    let on = snapshot.get_database_backend();
    // Whether there is one more, without reading them.
    let beyond = of_prefix(prefix, 1).offset(most).build(on);
    if snapshot.query_one_raw(beyond).await?.is_some() {
        return Ok(None);
    }
    let all = snapshot.query_all_raw(of_prefix(prefix, most).build(on)).await?;
    let mut places: Vec<ListPlace> = all.iter().filter_map(place).collect();
    places.retain(|place| {
        query.after.as_ref().is_none_or(|after| in_order(query.order, after, place).is_lt())
            && query.created_after.is_none_or(|after| place.created_at >= after)
            && query.created_before.is_none_or(|before| place.created_at < before)
    });
    places.sort_by(|a, b| in_order(query.order, a, b));
    Ok(Some(places))
}

/// The first of these places that are asked for.
async fn part_of(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
    places: &[ListPlace],
) -> Result<Part, DbErr> {
    let mut rows = Vec::new();
    let mut chunks = places.chunks(MOST_GIDS).peekable();
    while let Some(chunk) = chunks.next() {
        let found = fetch(snapshot, among(query, chunk.iter().map(|at| at.gid.as_str()))).await?;
        rows.extend(with_metadata(snapshot, query, placed(found)).await?);
        let has_enough = u64::try_from(rows.len()).is_ok_and(|rows| rows >= wanted(query));
        if has_enough && chunks.peek().is_some() {
            return Ok(Part { rows, reached: chunk.last().cloned() });
        }
    }
    Ok(Part { rows, reached: None })
}

/// Those of them whose metadata say what is asked for.
async fn with_metadata(
    snapshot: &impl ConnectionTrait,
    query: &ListQuery,
    mut rows: Vec<Placed>,
) -> Result<Vec<Placed>, DbErr> {
    if query.metadata.is_empty() {
        return Ok(rows);
    }
    let mut said = HashSet::new();
    for some in rows.chunks(MOST_GIDS) {
        let keys = some.iter().map(key);
        let details = detail::Entity::find()
            .filter(detail::Column::Gid.is_in(keys))
            .filter(detail::Column::Metadata.is_not_null());
        for row in readable(snapshot, details).await? {
            let metadata = row.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let metadata: Value = metadata.unwrap_or_default();
            if query.metadata.iter().all(|asked| asked.holds(&metadata)) {
                said.insert(row.gid);
            }
        }
    }
    rows.retain(|row| said.contains(key(row)));
    Ok(rows)
}

/// What its other rows stand under; of one that cannot be read they are not known.
fn key((place, model): &Placed) -> &str {
    model.as_ref().map_or(place.gid.as_str(), transaction::Model::rows_key)
}

async fn fetch(
    snapshot: &impl ConnectionTrait,
    select: Select<transaction::Entity>,
) -> Result<Vec<Found>, DbErr> {
    let rows = snapshot.query_all_raw(select.build(snapshot.get_database_backend())).await?;
    let found = |row: &QueryResult| Found {
        place: place(row),
        model: transaction::Model::from_query_result(row, ""),
    };
    Ok(rows.iter().map(found).collect())
}

/// Where a row stands, if its gid and its begin can be read.
fn place(row: &QueryResult) -> Option<ListPlace> {
    let created_at = row.try_get::<i64>("", "created_at").ok().map(Wall)?;
    let gid = row.try_get::<String>("", "gid").ok().and_then(|gid| gid.parse().ok())?;
    Some(ListPlace { created_at, gid })
}

/// Those that have a place; the others are told of.
fn placed(found: Vec<Found>) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(found.len());
    for Found { place, model } in found {
        match place {
            Some(place) => placed.push((place, model)),
            None => tell(model.err(), ""),
        }
    }
    placed
}

fn tell(error: Option<DbErr>, gid: &str) {
    let why = error.map_or_else(|| "its gid is none".to_owned(), |error| error.to_string());
    tracing::error!(event = "transaction_not_listed", gid, why, "a transaction cannot be listed");
}
