//! How many transactions may be read at once, by the bytes of what alone can be many.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Func, FunctionCall, IntoColumnRef, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QuerySelect,
    QueryTrait,
};
use tercet_wire::Gid;

use super::entities::{branch, result};
use crate::store::first_within;

/// From the first on, as many as have no more bytes together than these: at least one that has
/// any. Any of them may have results where one is open, or a branch has options. `key_of` says under what the rows of
/// each stand.
pub(super) async fn within<'a, 'k>(
    snapshot: &impl ConnectionTrait,
    gids: &'a [Gid],
    key_of: impl Fn(&Gid) -> Option<&'k str>,
    bytes: u64,
    are_open: bool,
) -> Result<&'a [Gid], DbErr> {
    use branch::Column;
    let backend = snapshot.get_database_backend();
    let keys = || gids.iter().filter_map(&key_of);
    let size = Expr::expr(octets(Column::Payload)).add(octets(Column::Headers)).sum();
    let sizes = branch::Entity::find()
        .select_only()
        .column(Column::Gid)
        .column_as(whole(backend, size), "size")
        .column_as(Column::Stage.max(), "stage")
        .filter(Column::Gid.is_in(keys()))
        .group_by(Column::Gid)
        .build(backend);
    let mut of_each: HashMap<String, u64> = HashMap::new();
    let mut may_have_results = are_open;
    for row in snapshot.query_all_raw(sizes).await? {
        let (size, stage): (Option<i64>, Option<i32>) =
            (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        may_have_results |= stage.is_some_and(|stage| stage != 0);
        of_each.insert(row.try_get_by_index(0)?, size.map_or(0, i64::unsigned_abs));
    }
    if may_have_results {
        let size = Expr::expr(octets(result::Column::Result)).sum();
        let sizes = result::Entity::find()
            .select_only()
            .column(result::Column::Gid)
            .column_as(whole(backend, size), "size")
            .filter(result::Column::Gid.is_in(keys()))
            .group_by(result::Column::Gid)
            .build(backend);
        for row in snapshot.query_all_raw(sizes).await? {
            let size: Option<i64> = row.try_get_by_index(1)?;
            *of_each.entry(row.try_get_by_index(0)?).or_default() +=
                size.map_or(0, i64::unsigned_abs);
        }
    }
    let size = |gid| key_of(gid).and_then(|key| of_each.get(key).copied());
    let rows = gids.iter().map(|gid| size(gid).unwrap_or(0));
    Ok(&gids[..first_within(bytes, rows)])
}

/// What a text takes, counted without reading it.
fn octets(column: impl IntoColumnRef) -> FunctionCall {
    Func::cust("octet_length").arg(Expr::col(column))
}

/// A sum as a whole number: those of integers are decimals in some places.
fn whole(backend: DbBackend, sum: SimpleExpr) -> SimpleExpr {
    match backend {
        DbBackend::MySql => sum.cast_as("signed"),
        _ => sum,
    }
}
