//! What there is, counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sea_query::{
    Alias, Expr, ExprTrait, Order, Query, SelectStatement, SubQueryStatement, UnionType,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryResult,
    QuerySelect, QueryTrait, Select, Statement, TransactionTrait,
};
use tercet_wire::{Incarnation, Status, Wall};

use super::dialect::Dialect;
pub(crate) use super::entities::node::Model as LifeOfNode;
use super::entities::{node, options, transaction};
use super::holds;
use super::key::{NARROW, rows_key_of};
use super::lenient_rows::readable_rows;
use crate::error::JournalError;
use crate::summary::{JournalSummary, NodeRow};

/// What there is, counted at one moment.
pub(crate) async fn summary(
    recovery_pool: &DatabaseConnection,
    dialect: impl Dialect,
    finished: &FinishedCounts,
    now: Wall,
) -> Result<JournalSummary, JournalError> {
    let snapshot = recovery_pool.begin().await?;
    let counted = count(&snapshot, dialect, finished, now).await;
    // It has only read, so how it ends does not matter.
    let _ = snapshot.rollback().await;
    Ok(counted?)
}

/// All rows of `nodes`, where each holds the number of its last batch itself.
pub(crate) const NODES: &str = "SELECT incarnation, node_id, url, state, batch_no, protocol, \
     started_at, written_at FROM nodes ORDER BY node_id";

/// How many have finished, as it was counted last. There may be millions, and each is counted; so where they are many they
/// are not counted for everybody who looks.
#[derive(Debug, Default)]
pub(crate) struct FinishedCounts(Mutex<Option<(Wall, StatusCounts)>>);

/// So many have their counts kept, for so long.
const MANY: u64 = 50_000;
const KEPT_FOR: Duration = Duration::from_secs(2);

/// Transactions by status, and those of none.
#[derive(Debug, Clone, Default)]
struct StatusCounts {
    by_status: BTreeMap<Status, u64>,
    of_no_status: u64,
}

impl StatusCounts {
    fn sum(&self) -> u64 {
        self.by_status.values().sum::<u64>() + self.of_no_status
    }
}

impl FinishedCounts {
    /// Beside so many unfinished ones, at the same moment.
    async fn at(
        &self,
        snapshot: &impl ConnectionTrait,
        unfinished: u64,
        now: Wall,
    ) -> Result<StatusCounts, DbErr> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // By a clock that went back nothing is young.
        let is_young = |(at, _): &(Wall, _)| *at <= now && now.since(*at) < KEPT_FOR;
        if let Some((_, counts)) = kept.filter(is_young) {
            return Ok(counts);
        }
        let counts = finished(snapshot, unfinished).await?;
        let kept = (counts.sum() >= MANY).then(|| (now, counts.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(counts)
    }
}

/// All are counted without a look at any, which is several times faster; most are confirmed, so those are
/// what is left of all when the others are taken away.
async fn finished(snapshot: &impl ConnectionTrait, unfinished: u64) -> Result<StatusCounts, DbErr> {
    let on = snapshot.get_database_backend();
    let number =
        |row: QueryResult| row.try_get_by_index::<i64>(0).map(|it| u64::try_from(it).unwrap_or(0));
    let all = snapshot.query_one_raw(all().build(on)).await?.map(number).transpose()?;
    let others = snapshot.query_all_raw(on.build(&of_no_status())).await?;
    let mut counts = counted(snapshot, by_status(&[Status::Cancelled])).await?;
    for gap in others {
        counts.of_no_status += number(gap)?;
    }
    let confirmed = all.unwrap_or(0).saturating_sub(unfinished).saturating_sub(counts.sum());
    if confirmed > 0 {
        counts.by_status.insert(Status::Confirmed, confirmed);
    }
    Ok(counts)
}

async fn counted(
    snapshot: &impl ConnectionTrait,
    select: Select<transaction::Entity>,
) -> Result<StatusCounts, DbErr> {
    let mut counts = StatusCounts::default();
    for row in snapshot.query_all_raw(select.build(snapshot.get_database_backend())).await? {
        let count = u64::try_from(row.try_get_by_index::<i64>(1)?).unwrap_or(0);
        // A word that is not even text is no status either.
        let word = row.try_get_by_index::<String>(0).unwrap_or_default();
        match word.parse::<Status>() {
            Ok(status) => {
                counts.by_status.insert(status, count);
            }
            Err(_) => counts.of_no_status += count,
        }
    }
    Ok(counts)
}

async fn count(
    snapshot: &impl ConnectionTrait,
    dialect: impl Dialect,
    finished: &FinishedCounts,
    now: Wall,
) -> Result<JournalSummary, DbErr> {
    let unfinished: Vec<Status> =
        Status::ALL.iter().filter(|status| !status.is_finished()).copied().collect();
    let unfinished = counted(snapshot, by_status(&unfinished)).await?;
    let StatusCounts { mut by_status, of_no_status } =
        finished.at(snapshot, unfinished.sum(), now).await?;
    by_status.extend(unfinished.by_status);
    let mut summary = JournalSummary { by_status, of_no_status, ..JournalSummary::default() };
    for status in Status::ALL.iter().filter(|status| !status.is_finished()) {
        let backend = snapshot.get_database_backend();
        let oldest = snapshot.query_one_raw(backend.build(&oldest(*status))).await?;
        let oldest = oldest.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
        let parked = snapshot.query_one_raw(parked(*status).build(backend)).await?;
        let (parked, shown) = match parked {
            Some(row) => (row.try_get_by_index::<i64>(0)?, row.try_get_by_index(1)?),
            None => (0, None),
        };
        summary.parked += u64::try_from(parked).unwrap_or(0);
        let of_status = oldest.into_iter().chain(shown).map(Wall);
        summary.oldest_unfinished = summary.oldest_unfinished.into_iter().chain(of_status).min();
    }
    let nodes = lives(snapshot, dialect.nodes()).await?;
    let mut drivers = BTreeMap::new();
    for row in snapshot.query_all_raw(owned().build(snapshot.get_database_backend())).await? {
        // An owner that is no number is no life.
        let owner = row.try_get_by_index::<i64>(0).unwrap_or_default();
        drivers.insert(owner, u64::try_from(row.try_get_by_index::<i64>(1)?).unwrap_or(0));
    }
    let driven = |row: &node::Model| drivers.get(&row.incarnation).copied().unwrap_or(0);
    summary.nodes = nodes.into_iter().map(|row| node_row(driven(&row), row)).collect();
    summary.held = holds::held(snapshot, now).await?;
    Ok(summary)
}

/// How many there are of each of these, of columns that the index of statuses holds, so that no row is read.
pub(crate) fn by_status(statuses: &[Status]) -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .filter(Column::Status.is_in(statuses.iter().map(|status| status.as_str())))
        .select_only()
        .column(Column::Status)
        .column_as(Column::Gid.count(), "transactions")
        .group_by(Column::Status)
}

/// How many there are.
pub(crate) fn all() -> Select<transaction::Entity> {
    transaction::Entity::find().select_only().expr_as(Expr::cust("COUNT(*)"), "transactions")
}

/// How many have a status that is none: a number for each gap between the words, so that none of the
/// many is looked at whose status is one of them.
pub(crate) fn of_no_status() -> SelectStatement {
    use transaction::Column;
    let words: BTreeSet<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let ends = words.iter().copied().map(Some).chain([None]);
    let begins = [None].into_iter().chain(words.iter().copied().map(Some));
    let mut gaps = begins.zip(ends).map(|(after, before)| {
        Query::select()
            .expr(Expr::cust("COUNT(*)"))
            .from(transaction::Entity)
            .and_where_option(after.map(|word| Column::Status.gt(word)))
            .and_where_option(before.map(|word| Column::Status.lt(word)))
            .to_owned()
    });
    let first = gaps.next().unwrap_or_default();
    gaps.fold(first, |mut all, gap| all.union(UnionType::All, gap).to_owned())
}

/// How many each drives, of columns that the index of owners holds; finished ones have none.
pub(crate) fn owned() -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .select_only()
        .column(Column::Owner)
        .column_as(Column::Gid.count(), "transactions")
        .filter(Column::Owner.is_not_null())
        .group_by(Column::Owner)
}

/// How many of the oldest that are confirming are asked whether they are put off. There may be as many messages that
/// are as anybody likes, and each is looked up. Who waits behind so many is seen when it is shown to people.
pub(crate) const LOOKED_AT: u64 = 10_000;

/// What the rows of one of them stand under.
const KEY: &str = "rows_key";

/// When the first of those of this status was begun that counts as waiting: a message that is put
/// off waits for nobody until its time. How long that is stands in no column, so those with
/// such a branch are passed over here, and count once they are shown to people.
pub(crate) fn oldest(status: Status) -> SelectStatement {
    use transaction::Column;
    let mut of_status = Query::select();
    of_status
        .column(Column::CreatedAt)
        .from(transaction::Entity)
        .and_where(Column::Status.eq(status.as_str()))
        .order_by(Column::CreatedAt, Order::Asc)
        .order_by(Column::Gid, Order::Asc);
    match status {
        Status::Confirming => {
            let oldest = Alias::new("oldest");
            of_status.expr_as(Expr::cust(rows_key_of(NARROW)), KEY).limit(LOOKED_AT);
            let puts_off = Query::select()
                .expr(Expr::val(1))
                .from(options::Entity)
                .and_where(
                    Expr::col((options::Entity, options::Column::Gid))
                        .equals((oldest.clone(), KEY)),
                )
                .and_where(options::Column::Options.like(PUTS_OFF))
                .limit(1)
                .to_owned();
            // A value for each row, and no EXISTS: of that PostgreSQL makes a join, whose cost it takes for that of
            // the two rows which it expects of any LIKE.
            let puts_off = SubQueryStatement::from(puts_off);
            Query::select()
                .column((oldest.clone(), Column::CreatedAt))
                .from_subquery(of_status, oldest.clone())
                .and_where(Expr::from(puts_off).is_null())
                .order_by((oldest, Column::CreatedAt), Order::Asc)
                .limit(1)
                .to_owned()
        }
        Status::Trying | Status::Cancelling | Status::Confirmed | Status::Cancelled => {
            of_status.limit(1).to_owned()
        }
    }
}

/// What the options of a branch say whose Confirm is put off. An id has no quotes.
const PUTS_OFF: &str = "%\"confirm_after_ms\":%";

/// How many people are shown, and when the first of them was begun. Reads the rows of that status; those of unfinished
/// ones are not many.
pub(crate) fn parked(status: Status) -> Select<transaction::Entity> {
    use transaction::Column;
    transaction::Entity::find()
        .select_only()
        .column_as(Column::Gid.count(), "parked")
        .column_as(Column::CreatedAt.min(), "first")
        .filter(Column::Status.eq(status.as_str()))
        .filter(Column::Parked.eq(true))
}

/// The rows of all lives, by the statement that asks for them.
pub(crate) async fn lives(
    on: &impl ConnectionTrait,
    nodes: Statement,
) -> Result<Vec<LifeOfNode>, DbErr> {
    readable_rows::<node::Entity>(on, nodes).await
}

fn node_row(owned: u64, row: node::Model) -> NodeRow {
    NodeRow {
        owned,
        node_id: row.node_id,
        url: row.url,
        incarnation: Incarnation(row.incarnation),
        state: row.state,
        batches: u64::try_from(row.batch_no).unwrap_or(0),
        protocol: row.protocol,
        started_at: Wall(row.started_at),
        written_at: row.written_at.map(Wall),
    }
}
