//! The statements by which a list looks for transactions. Each walks one index in the order wanted
//! and stops after a page, however many rows there are; what no index has is looked for among so
//! many rows at most (`list_walk.rs`).

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, IdenStatic, Order, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use tercet_wire::{GidPrefix, ListOrder, ListPlace, ListQuery, Pattern, Status};

use super::entities::{branch, transaction};
use super::key::{NARROW, rows_key_of};

use transaction::Column;

/// Sagas; see `migrations`.
const OF_SAGAS: &str = "pattern = 'saga'";

/// Each status is asked for by itself, and the answers are merged; none of them is asked for where
/// any will do.
pub(crate) fn statuses(query: &ListQuery) -> Vec<Option<Status>> {
    let unfinished_only = query.parked || query.participant.is_some();
    let cancelled_only = !query.reasons.is_empty();
    if query.statuses.is_empty() && !unfinished_only && !cancelled_only {
        return vec![None];
    }
    let asked = |status: &&Status| {
        let was_cancelled = matches!(status, Status::Cancelling | Status::Cancelled);
        (query.statuses.is_empty() || query.statuses.contains(status))
            && !(unfinished_only && status.is_finished())
            && (was_cancelled || !cancelled_only)
    };
    Status::ALL.iter().filter(asked).map(|status| Some(*status)).collect()
}

/// Whether something is asked for that is in no index, so that any number of rows may be passed by.
/// What is unfinished is not much.
pub(crate) fn looks_through(on: DbBackend, query: &ListQuery) -> bool {
    let pattern = query.pattern.is_some_and(|pattern| !has_index(on, pattern));
    query.open.is_some()
        || !query.reasons.is_empty()
        || query.gid_prefix.is_some()
        || !query.metadata.is_empty()
        || pattern
}

/// MySQL has no index of a few rows.
fn has_index(on: DbBackend, pattern: Pattern) -> bool {
    pattern == Pattern::Saga && on != DbBackend::MySql
}

/// The rows that are walked, in order: by what indexes have.
pub(crate) fn walked(
    on: DbBackend,
    query: &ListQuery,
    status: Option<Status>,
) -> Select<transaction::Entity> {
    let order = match query.order {
        ListOrder::Newest => Order::Desc,
        ListOrder::Oldest => Order::Asc,
    };
    let mut select = transaction::Entity::find()
        .order_by(Column::CreatedAt, order.clone())
        .order_by(Column::Gid, order);
    if let Some(status) = status {
        select = select.filter(Column::Status.eq(status.as_str()));
    }
    if let Some(after) = query.created_after {
        select = select.filter(Column::CreatedAt.gte(after.0));
    }
    if let Some(before) = query.created_before {
        select = select.filter(Column::CreatedAt.lt(before.0));
    }
    if let Some(after) = &query.after {
        select = beyond(select, query.order, after);
    }
    if let Some(pattern) = query.pattern.filter(|pattern| has_index(on, *pattern)) {
        // As it stands in the index of the few, which is used for just these words.
        select = match pattern {
            Pattern::Saga => select.filter(Expr::cust(OF_SAGAS)),
            Pattern::Tcc => select.filter(Column::Pattern.eq(pattern.as_str())),
        };
    }
    select
}

/// Behind a place. The first condition alone bounds the walk over the index.
fn beyond(
    select: Select<transaction::Entity>,
    order: ListOrder,
    place: &ListPlace,
) -> Select<transaction::Entity> {
    let (at, gid) = (place.created_at.0, place.gid.as_str());
    let (bound, later, of_the_same) = match order {
        ListOrder::Newest => {
            (Column::CreatedAt.lte(at), Column::CreatedAt.lt(at), Column::Gid.lt(gid))
        }
        ListOrder::Oldest => {
            (Column::CreatedAt.gte(at), Column::CreatedAt.gt(at), Column::Gid.gt(gid))
        }
    };
    select.filter(bound).filter(Condition::any().add(later).add(of_the_same))
}

/// Up to a place, and it too.
fn up_to(
    select: Select<transaction::Entity>,
    order: ListOrder,
    place: &ListPlace,
) -> Select<transaction::Entity> {
    let (at, gid) = (place.created_at.0, place.gid.as_str());
    let (bound, sooner, of_the_same) = match order {
        ListOrder::Newest => {
            (Column::CreatedAt.gte(at), Column::CreatedAt.gt(at), Column::Gid.gte(gid))
        }
        ListOrder::Oldest => {
            (Column::CreatedAt.lte(at), Column::CreatedAt.lt(at), Column::Gid.lte(gid))
        }
    };
    select.filter(bound).filter(Condition::any().add(sooner).add(of_the_same))
}

/// Where a walk is after so many rows, and whether one follows: by the index alone.
pub(crate) fn place_after(
    on: DbBackend,
    query: &ListQuery,
    status: Option<Status>,
    rows: u64,
) -> Select<transaction::Entity> {
    walked(on, query, status)
        .select_only()
        .column(Column::CreatedAt)
        .column(Column::Gid)
        .offset(rows.saturating_sub(1))
        .limit(2)
}

/// What is asked for, among the rows that are walked: no further than a place, if one is given.
pub(crate) fn asked_for(
    on: DbBackend,
    query: &ListQuery,
    status: Option<Status>,
    until: Option<&ListPlace>,
) -> Select<transaction::Entity> {
    let mut select = conditions(walked(on, query, status), query);
    if let Some(pattern) = query.pattern.filter(|pattern| !has_index(on, *pattern)) {
        select = select.filter(Column::Pattern.eq(pattern.as_str()));
    }
    if let Some(prefix) = &query.gid_prefix {
        let gid = match on {
            // Without this its planner finds all that begin so by the key, and sorts them.
            DbBackend::Sqlite => Expr::cust(format!("+{}", Column::Gid.as_str())),
            _ => Column::Gid.into_expr(),
        };
        select = begins_with(select, &gid, prefix);
    }
    match until {
        Some(until) => up_to(select, query.order, until),
        None => select,
    }
}

/// The same among these gids, in no order.
pub(crate) fn among<'a>(
    query: &ListQuery,
    gids: impl Iterator<Item = &'a str>,
) -> Select<transaction::Entity> {
    let mut select = transaction::Entity::find().filter(Column::Gid.is_in(gids));
    if let Some(pattern) = query.pattern {
        select = select.filter(Column::Pattern.eq(pattern.as_str()));
    }
    let statuses: Option<Vec<Status>> = statuses(query).into_iter().collect();
    if let Some(statuses) = statuses {
        let words = statuses.into_iter().map(Status::as_str);
        select = select.filter(Column::Status.is_in(words));
    }
    conditions(select, query)
}

/// The places of those whose gids begin so, by the key.
pub(crate) fn of_prefix(prefix: &GidPrefix, limit: u64) -> Select<transaction::Entity> {
    let select = transaction::Entity::find()
        .select_only()
        .column(Column::CreatedAt)
        .column(Column::Gid)
        .order_by_asc(Column::Gid)
        .limit(limit);
    begins_with(select, &Column::Gid.into_expr(), prefix)
}

/// By byte: that is how gids are compared on every database.
fn begins_with(
    select: Select<transaction::Entity>,
    gid: &Expr,
    prefix: &GidPrefix,
) -> Select<transaction::Entity> {
    select.filter(gid.clone().gte(prefix.as_str())).filter(gid.clone().lt(prefix.end()))
}

/// What is asked of a row beside its status, its place, its shape and its gid; metadata stand in another table.
fn conditions(
    mut select: Select<transaction::Entity>,
    query: &ListQuery,
) -> Select<transaction::Entity> {
    if let Some(open) = query.open {
        select = select.filter(Column::Open.eq(open));
    }
    if !query.reasons.is_empty() {
        let reasons = query.reasons.iter().map(|reason| reason.as_str());
        select = select.filter(Column::Reason.is_in(reasons));
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
                    .eq(Expr::cust(rows_key_of(NARROW))),
            )
            .and_where(branch::Column::Participant.eq(participant.as_str()))
            .to_owned();
        select = select.filter(Expr::exists(has_branch));
    }
    select
}
