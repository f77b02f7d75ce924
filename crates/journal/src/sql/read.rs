//! Whole transactions, and their history. Each read sees one moment: it is one SQL transaction.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, TransactionTrait,
};
use tercet_engine::{HistoryEvent, StoredTransaction};
use tercet_wire::{BranchSpec, EventKind, Gid, Incarnation, Pattern, Status};

use super::dialect::{SharedDialect, driven_by_nobody};
use super::entities::{
    branch, detail, event, options, outcome, own_options, result, setting, tick, transaction,
};
use super::lenient_rows::readable;
use super::rows::{Rows, can_have_options, happening};
use super::summary::lives;
use super::within::within;
use crate::error::JournalError;
use crate::store::NOBODY;
use crate::unreadable::Unreadable;

/// Most owners looked at before their rows are.
const MOST_OWNERS: usize = 100;

/// Most gids asked for in one statement.
pub(super) const MOST_GIDS: usize = 500;

/// A page of an incarnation's unfinished transactions, by gid, as many as the bytes allow.
/// Empty only at the end.
pub(crate) async fn unfinished(
    recovery_pool: &DatabaseConnection,
    own: Incarnation,
    after: Option<&Gid>,
    limit: u32,
    bytes: u64,
) -> Result<Vec<Result<StoredTransaction, Unreadable>>, JournalError> {
    let mut after = after.map(|gid| gid.as_str().to_owned());
    loop {
        let page = page(recovery_pool, owned(own), after.as_deref(), limit).await?;
        for damaged in &page.damaged {
            tracing::error!(
                event = "transaction_without_gid",
                gid = damaged,
                "an unfinished transaction has no gid"
            );
        }
        if page.last.is_none() {
            return Ok(Vec::new());
        }
        let (mut found, read) = stored(recovery_pool, &page.gids, bytes).await?;
        let found: Vec<_> = read.iter().filter_map(|gid| found.remove(gid)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        after = match read.last() {
            Some(last) if read.len() < page.gids.len() => Some(last.as_str().to_owned()),
            Some(_) | None => page.last,
        };
    }
}

/// Gids of an incarnation's decided and unfinished transactions, in order. None only at the end.
pub(crate) async fn sweep(
    recovery_pool: &DatabaseConnection,
    own: Incarnation,
    after: Option<&Gid>,
    limit: u32,
) -> Result<Vec<Gid>, JournalError> {
    let mut after = after.map(|gid| gid.as_str().to_owned());
    loop {
        // Recovery has named those that have no gid.
        let page = page(recovery_pool, decided(own), after.as_deref(), limit).await?;
        if !page.gids.is_empty() || page.last.is_none() {
            return Ok(page.gids);
        }
        after = page.last;
    }
}

/// Gids of the unfinished transactions of a life that is over, or of nobody's, in order; only of
/// those without a decision, if so asked. None only at the end.
pub(crate) async fn driven_by(
    recovery_pool: &DatabaseConnection,
    dead: Incarnation,
    undecided: bool,
    after: Option<&Gid>,
    limit: u32,
) -> Result<Vec<Gid>, JournalError> {
    let mut after = after.map(|gid| gid.as_str().to_owned());
    loop {
        let page = page(recovery_pool, driven(dead, undecided), after.as_deref(), limit).await?;
        // All are looked for twice, and named once.
        for damaged in page.damaged.iter().filter(|_| !undecided) {
            tracing::error!(
                event = "transaction_without_gid",
                gid = damaged,
                "an unfinished transaction has no gid"
            );
        }
        if !page.gids.is_empty() || page.last.is_none() {
            return Ok(page.gids);
        }
        after = page.last;
    }
}

/// The setting that all nodes sign with what they say to each other, and that they seal with what
/// they give to people.
pub(crate) const SECRET: &str = "secret";

/// A setting that all nodes share.
pub(crate) async fn setting(
    recovery_pool: &DatabaseConnection,
    name: &'static str,
) -> Result<Option<String>, JournalError> {
    let ask = setting::Entity::find_by_id(name).one(recovery_pool).await?;
    Ok(ask.map(|row| row.value))
}

/// Owners without a row, those after `after`, and nobody, where something unfinished is nobody's.
/// Owners are looked at before the rows: a life has its row before it owns anything. None only
/// at the end.
pub(crate) async fn orphans(
    recovery_pool: &DatabaseConnection,
    dialect: impl SharedDialect,
    after: Option<Incarnation>,
) -> Result<Vec<Incarnation>, JournalError> {
    let mut orphans = Vec::new();
    let unowned =
        after.is_none() && recovery_pool.query_one_raw(dialect.unowned()).await?.is_some();
    orphans.extend(unowned.then_some(NOBODY));
    let mut after = after;
    loop {
        let mut owners = Vec::new();
        while owners.len() < MOST_OWNERS
            && let Some(owner) = owner_after(recovery_pool, after).await?
        {
            after = Some(owner);
            owners.push(owner);
        }
        if owners.is_empty() {
            return Ok(orphans);
        }
        let rows = lives(recovery_pool, dialect.nodes()).await?;
        let has_row = |owner: &Incarnation| rows.iter().any(|row| row.incarnation == owner.0);
        owners.retain(|owner| !has_row(owner) && !orphans.contains(owner));
        orphans.append(&mut owners);
        if orphans.len() >= MOST_OWNERS {
            return Ok(orphans);
        }
    }
}

/// The next owner of anything, by the index of owners alone.
async fn owner_after(
    recovery_pool: &DatabaseConnection,
    after: Option<Incarnation>,
) -> Result<Option<Incarnation>, DbErr> {
    let owner: Option<Option<i64>> = next_owner(after).into_tuple().one(recovery_pool).await?;
    Ok(owner.flatten().map(Incarnation))
}

/// The first owner after this one.
pub(crate) fn next_owner(after: Option<Incarnation>) -> Select<transaction::Entity> {
    use transaction::Column;
    let owners = transaction::Entity::find().select_only().column_as(Column::Owner.min(), "owner");
    match after {
        None => owners.filter(Column::Owner.is_not_null()),
        Some(after) => owners.filter(Column::Owner.gt(after.0)),
    }
}

/// What a life drives that is over, or what nobody does.
pub(crate) fn driven(dead: Incarnation, undecided: bool) -> Select<transaction::Entity> {
    let driven = match dead {
        NOBODY => transaction::Entity::find().filter(Expr::cust(driven_by_nobody())),
        dead => owned(dead),
    };
    match undecided {
        true => driven.filter(transaction::Column::Status.eq(Status::Trying.as_str())),
        false => driven,
    }
}

/// The unfinished transactions of an incarnation; others have no owner.
pub(crate) fn owned(own: Incarnation) -> Select<transaction::Entity> {
    transaction::Entity::find().filter(transaction::Column::Owner.eq(own.0))
}

/// Those of them that are decided.
pub(crate) fn decided(own: Incarnation) -> Select<transaction::Entity> {
    let decided = Status::ALL.iter().filter(|status| status.is_decided() && !status.is_finished());
    owned(own).filter(transaction::Column::Status.is_in(decided.map(|status| status.as_str())))
}

/// A page of gids, in order.
pub(crate) fn gids(
    of: Select<transaction::Entity>,
    after: Option<&str>,
    limit: u32,
) -> Select<transaction::Entity> {
    let page = of
        .select_only()
        .column(transaction::Column::Gid)
        .order_by_asc(transaction::Column::Gid)
        .limit(u64::from(limit));
    match after {
        None => page,
        Some(after) => page.filter(transaction::Column::Gid.gt(after)),
    }
}

/// A page of gids, and where the next one begins.
struct Gids {
    gids: Vec<Gid>,
    /// Those that are none.
    damaged: Vec<String>,
    /// The last that is text, gid or not; none if there are no more.
    last: Option<String>,
}

/// Reads a page of gids.
async fn page(
    recovery_pool: &DatabaseConnection,
    of: Select<transaction::Entity>,
    after: Option<&str>,
    limit: u32,
) -> Result<Gids, JournalError> {
    let mut limit = Ord::max(limit, 1);
    loop {
        let select = gids(of.clone(), after, limit).build(recovery_pool.get_database_backend());
        let rows = recovery_pool.query_all_raw(select).await?;
        let mut page = Gids { gids: Vec::new(), damaged: Vec::new(), last: None };
        for row in &rows {
            let name = match row.try_get_by_index::<String>(0) {
                Ok(name) => name,
                Err(error) => {
                    page.damaged.push(error.to_string());
                    continue;
                }
            };
            match name.parse() {
                Ok(gid) => page.gids.push(gid),
                Err(error) => {
                    let error: tercet_wire::InvalidId = error;
                    page.damaged.push(format!("{name:?}: {error}"));
                }
            }
            page.last = Some(name);
        }
        // What is no text is no place to go on from: then what is behind it is read with it.
        let full = u32::try_from(rows.len()).is_ok_and(|rows| rows == limit);
        if page.last.is_some() || !full {
            return Ok(page);
        }
        limit = limit.saturating_mul(2);
    }
}

/// Lines of history with a number greater than `after`, oldest first.
pub(crate) async fn history(
    recovery_pool: &DatabaseConnection,
    gid: &Gid,
    after: u32,
    limit: u32,
) -> Result<Vec<HistoryEvent>, JournalError> {
    // Where they stand never changes while there is such a life; of the next one the numbers begin anew.
    let of_it = transaction::Entity::find_by_id(gid.as_str());
    let Some(of_it) = readable(recovery_pool, of_it).await?.pop() else { return Ok(Vec::new()) };
    let lines = event::Entity::find()
        .filter(event::Column::Gid.eq(of_it.rows_key()))
        .filter(event::Column::Number.gt(after))
        .order_by_asc(event::Column::Number)
        .limit(u64::from(limit));
    let rows = readable(recovery_pool, lines).await?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in &rows {
        match happening(row) {
            Ok(line) => lines.push(line),
            Err(why) => {
                tracing::error!(event = "history_unreadable", %gid, number = row.number, why, "unreadable history")
            }
        }
    }
    Ok(lines)
}

pub(super) type Found = HashMap<Gid, Result<StoredTransaction, Unreadable>>;

/// Those of the transactions that are there, and which gids were looked for: from the first on
/// as many as the bytes allow. Where a value is not even of its column's type, which fails the
/// statement for all, they are read one by one.
pub(super) async fn stored<'a>(
    recovery_pool: &DatabaseConnection,
    gids: &'a [Gid],
    bytes: u64,
) -> Result<(Found, &'a [Gid]), JournalError> {
    let some = &gids[..gids.len().min(MOST_GIDS)];
    let error = match together(recovery_pool, some, bytes).await {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    if !is_of_one_row(&error) {
        return Err(error.into());
    }
    let (mut found, mut total) = (Found::new(), 0);
    for (place, gid) in some.iter().enumerate() {
        match together(recovery_pool, std::slice::from_ref(gid), bytes).await {
            Ok((one, _)) => {
                total += one.values().flatten().map(size).sum::<u64>();
                found.extend(one);
            }
            Err(error) if is_of_one_row(&error) => {
                let unreadable = Unreadable { gid: gid.clone(), why: error.to_string() };
                found.insert(gid.clone(), Err(unreadable));
            }
            Err(error) => return Err(error.into()),
        }
        if total >= bytes {
            return Ok((found, &some[..=place]));
        }
    }
    Ok((found, some))
}

/// The bytes of its payloads, headers and results, which alone can be many.
fn size(stored: &StoredTransaction) -> u64 {
    let header = |(name, value): (&String, &String)| name.len() + value.len();
    let branch = |branch: &BranchSpec| {
        branch.payload.len() + branch.headers.iter().map(header).sum::<usize>()
    };
    let branches: usize = stored.branches.iter().map(|spec| branch(spec)).sum();
    let results: usize = stored.results.iter().map(|kept| kept.result.as_json().len()).sum();
    u64::try_from(branches + results).unwrap_or(u64::MAX)
}

/// Whether a value is at fault, not the database.
fn is_of_one_row(error: &DbErr) -> bool {
    use sea_orm::{RuntimeErr, sqlx::Error};
    match error {
        DbErr::Type(_) | DbErr::TryIntoErr { .. } | DbErr::Json(_) => true,
        DbErr::Query(RuntimeErr::SqlxError(cause)) | DbErr::Exec(RuntimeErr::SqlxError(cause)) => {
            matches!(**cause, Error::ColumnDecode { .. } | Error::Decode(_))
        }
        _ => false,
    }
}

async fn together<'a>(
    recovery_pool: &DatabaseConnection,
    gids: &'a [Gid],
    bytes: u64,
) -> Result<(Found, &'a [Gid]), DbErr> {
    let snapshot = recovery_pool.begin().await?;
    let read = read(&snapshot, gids, bytes).await;
    // It has only read, so how it ends does not matter.
    let _ = snapshot.rollback().await;
    read
}

async fn read<'a>(
    snapshot: &impl ConnectionTrait,
    gids: &'a [Gid],
    bytes: u64,
) -> Result<(Found, &'a [Gid]), DbErr> {
    let transactions = transaction::Entity::find()
        .filter(transaction::Column::Gid.is_in(gids.iter().map(Gid::as_str)))
        .all(snapshot)
        .await?;
    if transactions.is_empty() {
        return Ok((Found::new(), gids));
    }
    // What may be registered yet may ask for what is there.
    let are_open = transactions.iter().any(|row| row.open && row.pattern == Pattern::Saga.as_str());
    let mut transactions: HashMap<String, transaction::Model> =
        transactions.into_iter().map(|row| (row.gid.clone(), row)).collect();
    let key_of = |gid: &Gid| transactions.get(gid.as_str()).map(transaction::Model::rows_key);
    let gids = within(snapshot, gids, key_of, bytes, are_open).await?;
    let keys = || gids.iter().filter_map(key_of);
    let details =
        detail::Entity::find().filter(detail::Column::Gid.is_in(keys())).all(snapshot).await?;
    let mut details: HashMap<String, detail::Model> =
        details.into_iter().map(|row| (row.gid.clone(), row)).collect();
    let mut own_options: HashMap<String, own_options::Model> = HashMap::new();
    // Most can have none.
    if transactions.values().any(can_have_options) {
        let found = own_options::Entity::find().filter(own_options::Column::Gid.is_in(keys()));
        for row in found.all(snapshot).await? {
            own_options.insert(row.gid.clone(), row);
        }
    }
    let mut branches: HashMap<String, Vec<branch::Model>> = HashMap::new();
    let found = branch::Entity::find().filter(branch::Column::Gid.is_in(keys()));
    for row in found.all(snapshot).await? {
        branches.entry(row.gid.clone()).or_default().push(row);
    }
    let mut options: HashMap<String, Vec<options::Model>> = HashMap::new();
    // Nearly never there, and not asked for then.
    let have_options = branches.values().flatten().any(|row| row.stage != 0);
    if have_options {
        let found = options::Entity::find().filter(options::Column::Gid.is_in(keys()));
        for row in found.all(snapshot).await? {
            options.entry(row.gid.clone()).or_default().push(row);
        }
    }
    let mut branch_records: HashMap<String, Vec<outcome::Model>> = HashMap::new();
    let found = outcome::Entity::find().filter(outcome::Column::Gid.is_in(keys()));
    for row in found.all(snapshot).await? {
        branch_records.entry(row.gid.clone()).or_default().push(row);
    }
    let mut results: HashMap<String, Vec<result::Model>> = HashMap::new();
    if have_options || are_open {
        let found = result::Entity::find().filter(result::Column::Gid.is_in(keys()));
        for row in found.all(snapshot).await? {
            results.entry(row.gid.clone()).or_default().push(row);
        }
    }
    let mut jobs: HashMap<String, Vec<String>> = HashMap::new();
    let ticks: Vec<(String, String)> = tick::Entity::find()
        .select_only()
        .columns([tick::Column::Gid, tick::Column::JobId])
        .filter(tick::Column::Gid.is_in(gids.iter().map(Gid::as_str)))
        .into_tuple()
        .all(snapshot)
        .await?;
    for (gid, job) in ticks {
        jobs.entry(gid).or_default().push(job);
    }
    let kept = EventKind::ALL.iter().filter(|kind| kind.is_always_kept());
    let is_kept = event::Column::Kind.is_in(kept.map(|kind| kind.as_str()));
    // What is not counted is null, and a count passes over it.
    let kept = Expr::expr(Expr::case(is_kept, 1)).count();
    let lengths: Vec<(String, i64, i64)> = event::Entity::find()
        .select_only()
        .column(event::Column::Gid)
        .column_as(event::Column::Number.max(), "history_len")
        .column_as(kept, "history_kept")
        .filter(event::Column::Gid.is_in(keys()))
        .group_by(event::Column::Gid)
        .into_tuple()
        .all(snapshot)
        .await?;
    let lengths: HashMap<String, (i64, i64)> =
        lengths.into_iter().map(|(gid, lines, kept)| (gid, (lines, kept))).collect();

    let mut all = Found::new();
    for gid in gids {
        let Some(transaction) = transactions.remove(gid.as_str()) else { continue };
        let key = transaction.rows_key();
        let (history_len, history_kept) = lengths.get(key).copied().unwrap_or_default();
        let rows = Rows {
            detail: details.remove(key),
            own_options: own_options.remove(key),
            branches: branches.remove(key).unwrap_or_default(),
            options: options.remove(key).unwrap_or_default(),
            branch_records: branch_records.remove(key).unwrap_or_default(),
            results: results.remove(key).unwrap_or_default(),
            history_len,
            history_kept,
            jobs: jobs.remove(gid.as_str()).unwrap_or_default(),
            transaction,
        };
        let stored = rows.stored().map_err(|why| Unreadable { gid: gid.clone(), why });
        all.insert(gid.clone(), stored);
    }
    Ok((all, gids))
}
