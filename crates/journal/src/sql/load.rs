//! What the journal knows of gids that it is asked for.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect};
use tercet_engine::{Load, StoredTransaction};
use tercet_wire::{Gid, Incarnation, Status};

use super::entities::transaction;
use super::read::{Found, MOST_GIDS, stored};
use crate::error::JournalError;
use crate::store::NOBODY;
use crate::unreadable::Unreadable;

/// What the journal knows of each gid, from the first on: as many as the bytes allow.
pub(crate) async fn load(
    recovery_pool: &DatabaseConnection,
    own: Incarnation,
    gids: &[Gid],
    bytes: u64,
) -> Result<Vec<(Gid, Load)>, JournalError> {
    let (mut found, read) = stored(recovery_pool, gids, bytes).await?;
    let load = |gid: &Gid| (gid.clone(), of_rows(found.remove(gid), own));
    Ok(read.iter().map(load).collect())
}

/// The same where several nodes share the rows: what is not there or another's is known by one look
/// at the narrow rows, and nothing else of it is read. That is most of what is asked for.
pub(crate) async fn load_of_shared(
    recovery_pool: &DatabaseConnection,
    own: Incarnation,
    gids: &[Gid],
    bytes: u64,
) -> Result<Vec<(Gid, Load)>, JournalError> {
    let gids = &gids[..gids.len().min(MOST_GIDS)];
    let drivers = drivers(recovery_pool, gids).await?;
    let is_read = |gid: &&Gid| match drivers.get(gid.as_str()) {
        None => false,
        Some(driver) => driver.is_none_or(|driver| driver == own),
    };
    let own_gids: Vec<Gid> = gids.iter().filter(is_read).cloned().collect();
    let (mut found, read) = match own_gids.is_empty() {
        true => (Found::new(), &own_gids[..]),
        false => stored(recovery_pool, &own_gids, bytes).await?,
    };
    let mut read = read.iter();
    let mut loads = Vec::with_capacity(gids.len());
    for gid in gids {
        let load = match drivers.get(gid.as_str()).copied() {
            None => Load::Nothing,
            Some(Some(driver)) if driver != own => Load::Elsewhere(driver),
            // As many as the bytes allow.
            Some(_) if read.next().is_none() => break,
            Some(_) => match found.remove(gid) {
                // It was taken from this life since.
                Some(Ok(stored)) if stored.owner.is_none() && !stored.status.is_finished() => {
                    Load::Elsewhere(NOBODY)
                }
                found => of_rows(found, own),
            },
        };
        loads.push((gid.clone(), load));
    }
    Ok(loads)
}

/// Who drives each that is there: none where it is finished, or its status makes no sense.
async fn drivers(
    recovery_pool: &DatabaseConnection,
    gids: &[Gid],
) -> Result<HashMap<String, Option<Incarnation>>, DbErr> {
    use transaction::Column;
    let rows: Vec<(String, Option<i64>, String)> = transaction::Entity::find()
        .select_only()
        .columns([Column::Gid, Column::Owner, Column::Status])
        .filter(Column::Gid.is_in(gids.iter().map(Gid::as_str)))
        .into_tuple()
        .all(recovery_pool)
        .await?;
    let driver = |(gid, owner, status): (String, Option<i64>, String)| {
        let is_finished = status.parse().map_or(true, Status::is_finished);
        let driver = owner.map(Incarnation).or((!is_finished).then_some(NOBODY));
        (gid, driver)
    };
    Ok(rows.into_iter().map(driver).collect())
}

/// What these rows are to this life.
fn of_rows(found: Option<Result<StoredTransaction, Unreadable>>, own: Incarnation) -> Load {
    match found {
        None => Load::Nothing,
        Some(Ok(stored)) => Load::of(stored, own),
        Some(Err(unreadable)) => Load::Unreadable { why: unreadable.why },
    }
}

/// One, whoever drives it. None where there is none, or its rows make no sense.
pub(crate) async fn look_at(
    recovery_pool: &DatabaseConnection,
    gid: &Gid,
) -> Result<Option<StoredTransaction>, JournalError> {
    let (mut found, _) = stored(recovery_pool, std::slice::from_ref(gid), 0).await?;
    Ok(found.remove(gid).and_then(Result::ok))
}
