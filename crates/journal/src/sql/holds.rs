//! Whether what was trying when the database was restored is held, as the rows have it.

use std::sync::Arc;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SubQueryStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait, Select,
};
use tercet_engine::HoldChange;
use tercet_wire::{Status, Wall};

use super::entities::{hold, own_options, transaction};
use super::key::{NARROW, rows_key_of};
use crate::error::JournalError;
use crate::summary::{Held, NAMED};

/// How it stands: the newest change; none if the database was never restored.
pub(crate) async fn newest(on: &impl ConnectionTrait) -> Result<Option<HoldChange>, DbErr> {
    let newest = hold::Entity::find().order_by_desc(hold::Column::Number).limit(1);
    let Some(row) = newest.one(on).await? else { return Ok(None) };
    Ok(Some(HoldChange {
        // One that was damaged still says that something is held, or that nothing is.
        number: u32::try_from(row.number).unwrap_or(0),
        held_to: row.held_to.map(Wall),
        at: Wall(row.at),
        who: Arc::from(row.who),
    }))
}

/// What is held, counted.
pub(crate) async fn held(on: &impl ConnectionTrait, now: Wall) -> Result<Option<Held>, DbErr> {
    use transaction::Column;
    let Some(HoldChange { held_to: Some(to), at, .. }) = newest(on).await? else { return Ok(None) };
    let held = trying().filter(Column::CreatedAt.lte(to.0));
    let past = held.clone().filter(Column::DeadlineAt.lte(now.0));
    let cancelled = past.clone().filter(Column::Open.eq(true)).filter(is_not_asked());
    let first = cancelled.clone().select_only().column(Column::Gid);
    let first = first.order_by_asc(Column::CreatedAt).order_by_asc(Column::Gid).limit(NAMED);
    let first = on.query_all_raw(first.build(on.get_database_backend())).await?;
    // What is no gid is driven by nobody, and so cancelled by none.
    let gid = |row: &QueryResult| row.try_get_by_index::<String>(0).ok()?.parse().ok();
    Ok(Some(Held {
        since: at,
        transactions: held.clone().count(on).await?,
        open: held.filter(Column::Open.eq(true)).count(on).await?,
        past_deadline: past.count(on).await?,
        release_cancels: cancelled.count(on).await?,
        sample: first.iter().filter_map(gid).collect(),
    }))
}

/// Nobody is asked at its deadline what became of it. A value for each row, and no join.
fn is_not_asked() -> Expr {
    use own_options::{Column, Entity};
    let asked = Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Expr::col((Entity, Column::Gid)).eq(Expr::cust(rows_key_of(NARROW))))
        .and_where(Expr::col((Entity, Column::Options)).like(ASKS))
        .limit(1)
        .to_owned();
    Expr::from(SubQueryStatement::from(asked)).is_null()
}

/// What the options of a transaction say whose initiator is asked. A URL has no quotes.
const ASKS: &str = "%\"check\":%";

fn trying() -> Select<transaction::Entity> {
    transaction::Entity::find().filter(transaction::Column::Status.eq(Status::Trying.as_str()))
}

/// Holds all that is trying, unless that is so already. Nobody else may use the database.
pub(crate) async fn begin(
    on: &impl ConnectionTrait,
    at: Wall,
    who: &str,
) -> Result<HoldChange, JournalError> {
    let newest = newest(on).await?;
    if let Some(held) = newest.as_ref().filter(|newest| newest.held_to.is_some()) {
        return Ok(held.clone());
    }
    // By whatever clock they were begun, all of them are held.
    let last = trying().order_by_desc(transaction::Column::CreatedAt).limit(1).one(on).await?;
    let held_to = last.map_or(at, |last| Wall(last.created_at).max(at));
    let number = newest.map_or(0, |newest| newest.number) + 1;
    let row = hold::ActiveModel {
        number: Set(i32::try_from(number).unwrap_or(i32::MAX)),
        held_to: Set(Some(held_to.0)),
        at: Set(at.0),
        who: Set(who.to_owned()),
    };
    hold::Entity::insert(row).exec_without_returning(on).await?;
    Ok(HoldChange { number, held_to: Some(held_to), at, who: Arc::from(who) })
}
