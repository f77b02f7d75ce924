//! Jobs, as the rows have them.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Statement,
};
use tercet_engine::{JobRevision, Tick};
use tercet_wire::{ActId, JobStage, ProblemCode, Wall};

use super::entities::{job, tick};
use super::lenient_rows::readable;
use super::rows::job_revision;
use crate::error::JournalError;
use crate::store::{JobsDue, JobsKept};
use crate::stored_job::{JobCounts, StoredJob};

/// Jobs that have ended and whose ticks are looked for at once.
const MOST_ENDED: u64 = 2_000;

/// One, if there is one.
pub(crate) async fn one(
    query_pool: &DatabaseConnection,
    id: ActId,
) -> Result<Option<StoredJob>, JournalError> {
    let of_it = || of(&id.to_string());
    let first = first_of(query_pool, of_it().order_by_asc(job::Column::Revision)).await?;
    let newest = first_of(query_pool, of_it().order_by_desc(job::Column::Revision)).await?;
    Ok(first.zip(newest).map(|(first, newest)| StoredJob { first, newest }))
}

/// Those begun last, before this one.
pub(crate) async fn page(
    query_pool: &DatabaseConnection,
    before: Option<ActId>,
    limit: u32,
) -> Result<Vec<StoredJob>, JournalError> {
    use job::Column;
    let mut begun = job::Entity::find()
        .filter(Column::Revision.eq(1))
        .order_by_desc(Column::Id)
        .limit(u64::from(limit));
    if let Some(before) = before {
        begun = begun.filter(Column::Id.lt(before.to_string()));
    }
    let firsts = checked(readable(query_pool, begun).await?);
    let newest = newest(query_pool, firsts.iter().map(|first| first.id.to_string())).await?;
    let with_newest = |first: JobRevision| {
        let newest = newest.iter().find(|newest| newest.id == first.id)?.clone();
        Some(StoredJob { first, newest })
    };
    Ok(firsts.into_iter().filter_map(with_newest).collect())
}

/// What became last of each that has not ended, by id.
pub(crate) async fn unfinished(
    query_pool: &DatabaseConnection,
) -> Result<Vec<JobRevision>, JournalError> {
    use job::Column;
    let ended: Vec<String> = job::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(is_over())
        .into_tuple()
        .all(query_pool)
        .await?;
    let begun: Vec<String> = job::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Revision.eq(1))
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(query_pool)
        .await?;
    let ids = begun.into_iter().filter(|id| !ended.contains(id));
    let mut newest = newest(query_pool, ids).await?;
    newest.sort_by_key(|revision| revision.id);
    Ok(newest)
}

/// The next revision that found transactions.
pub(crate) async fn found_after(
    query_pool: &DatabaseConnection,
    id: ActId,
    revision: u32,
) -> Result<Option<JobRevision>, JournalError> {
    use job::Column;
    let next = of(&id.to_string())
        .filter(Column::Revision.gt(revision))
        .filter(Column::Stage.eq(JobStage::Matching.as_str()))
        .filter(Column::Document.is_not_null())
        .order_by_asc(Column::Revision);
    first_of(query_pool, next).await
}

/// To how many transactions it has come.
pub(crate) async fn counts(
    query_pool: &DatabaseConnection,
    id: ActId,
) -> Result<JobCounts, JournalError> {
    let counts = tick::Entity::find()
        .select_only()
        .column_as(Expr::cust("COUNT(*)"), "come_to")
        .column_as(Expr::cust("COUNT(code)"), "failed")
        .filter(tick::Column::JobId.eq(id.to_string()))
        .into_tuple::<(i64, i64)>()
        .one(query_pool)
        .await?;
    let (come_to, failed) = counts.unwrap_or_default();
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(JobCounts { come_to: count(come_to), failed: count(failed) })
}

/// Which of the places from one to another it has come to.
pub(crate) async fn come_to(
    query_pool: &DatabaseConnection,
    id: ActId,
    (from, to): (u32, u32),
) -> Result<Vec<u32>, JournalError> {
    let numbers: Vec<i32> = tick::Entity::find()
        .select_only()
        .column(tick::Column::Number)
        .filter(tick::Column::JobId.eq(id.to_string()))
        .filter(tick::Column::Number.between(from, to))
        .into_tuple()
        .all(query_pool)
        .await?;
    Ok(numbers.into_iter().filter_map(|number| u32::try_from(number).ok()).collect())
}

/// The first of those where it could not do what it does.
pub(crate) async fn failures(
    query_pool: &DatabaseConnection,
    id: ActId,
    limit: u32,
) -> Result<Vec<Tick>, JournalError> {
    let failed = tick::Entity::find()
        .filter(tick::Column::JobId.eq(id.to_string()))
        .filter(tick::Column::Code.is_not_null())
        .order_by_asc(tick::Column::Number)
        .limit(u64::from(limit));
    let ticks = readable(query_pool, failed).await?;
    let read = |row: tick::Model| {
        let read = failure(id, &row);
        read.map_err(|why| unreadable("job_ticks", &why)).ok()
    };
    Ok(ticks.into_iter().filter_map(read).collect())
}

fn failure(job: ActId, row: &tick::Model) -> Result<Tick, String> {
    let code: Option<ProblemCode> = row
        .code
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: tercet_wire::UnknownName| format!("code: {error}"))?;
    Ok(Tick {
        job,
        gid: row.gid.parse().map_err(|error| format!("gid: {error}"))?,
        number: u32::try_from(row.number).map_err(|error| format!("number: {error}"))?,
        code,
    })
}

/// What of jobs is past its time: ticks first, then what they found, then they themselves.
pub(crate) async fn due(
    recovery_pool: &DatabaseConnection,
    kept: &JobsKept,
    most: u32,
) -> Result<JobsDue, JournalError> {
    use job::Column;
    let ended: Vec<(String, i64)> = job::Entity::find()
        .select_only()
        .columns([Column::Id, Column::At])
        .filter(is_over())
        .order_by_asc(Column::Id)
        .limit(MOST_ENDED)
        .into_tuple()
        .all(recovery_pool)
        .await?;
    let long_ended = ended.iter().filter(|(_, at)| *at < kept.ticks_before.0);
    let long_ended: Vec<&str> = long_ended.map(|(id, _)| id.as_str()).collect();
    let ticks: Vec<(String, i32)> = tick::Entity::find()
        .select_only()
        .columns([tick::Column::JobId, tick::Column::Number])
        .filter(tick::Column::JobId.is_in(long_ended.iter().copied()))
        .order_by_asc(tick::Column::JobId)
        .order_by_asc(tick::Column::Number)
        .limit(u64::from(most))
        .into_tuple()
        .all(recovery_pool)
        .await?;
    if let Some((job, _)) = ticks.first() {
        let of_it = ticks.iter().take_while(|(id, _)| id == job);
        let up_to = of_it.map(|(_, number)| *number).last().unwrap_or_default();
        return Ok(JobsDue::Ticks { job: job.clone(), up_to });
    }
    let found: Option<(String, i32)> = job::Entity::find()
        .select_only()
        .columns([Column::Id, Column::Revision])
        .filter(Column::Id.is_in(long_ended))
        .filter(Column::Stage.eq(JobStage::Matching.as_str()))
        .order_by_asc(Column::Id)
        .order_by_asc(Column::Revision)
        .limit(1)
        .into_tuple()
        .one(recovery_pool)
        .await?;
    if let Some((job, revision)) = found {
        return Ok(JobsDue::Found { job, revision });
    }
    let beyond = ended.len().saturating_sub(kept.jobs);
    let old = ended.iter().enumerate().filter(|(place, (_, at))| {
        // Its ticks are gone by then.
        (*place < beyond && *at < kept.ticks_before.0)
            || *at < kept.before.0.min(kept.ticks_before.0)
    });
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let old: Vec<(String, i64)> = old.map(|(_, job)| job.clone()).take(most).collect();
    Ok(match old.first() {
        None => JobsDue::Nothing,
        Some(_) => JobsDue::Jobs {
            oldest: old.iter().map(|(_, at)| Wall(*at)).min(),
            ids: old.into_iter().map(|(id, _)| id).collect(),
        },
    })
}

/// Deletes it.
pub(crate) fn deletion(on: &DatabaseConnection, due: &JobsDue) -> Option<Statement> {
    let on = on.get_database_backend();
    Some(match due {
        JobsDue::Nothing => return None,
        JobsDue::Ticks { job, up_to } => tick::Entity::delete_many()
            .filter(tick::Column::JobId.eq(job.as_str()))
            .filter(tick::Column::Number.lte(*up_to))
            .build(on),
        JobsDue::Found { job, revision } => job::Entity::delete_many()
            .filter(job::Column::Id.eq(job.as_str()))
            .filter(job::Column::Revision.lte(*revision + FOUND_AT_ONCE))
            .filter(job::Column::Stage.eq(JobStage::Matching.as_str()))
            .build(on),
        JobsDue::Jobs { ids, .. } => job::Entity::delete_many()
            .filter(job::Column::Id.is_in(ids.iter().map(String::as_str)))
            .build(on),
    })
}

/// Revisions that found transactions and are deleted at once: each is large.
const FOUND_AT_ONCE: i32 = 20;

fn is_over() -> sea_orm::sea_query::SimpleExpr {
    let over = JobStage::ALL.iter().filter(|stage| stage.is_over());
    job::Column::Stage.is_in(over.map(|stage| stage.as_str()))
}

fn of(id: &str) -> Select<job::Entity> {
    job::Entity::find().filter(job::Column::Id.eq(id))
}

/// The newest revision of each of these.
async fn newest(
    query_pool: &DatabaseConnection,
    ids: impl Iterator<Item = String>,
) -> Result<Vec<JobRevision>, JournalError> {
    use job::Column;
    let ids: Vec<String> = ids.collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let newest: Vec<(String, i32)> = job::Entity::find()
        .select_only()
        .column(Column::Id)
        .column_as(Column::Revision.max(), "revision")
        .filter(Column::Id.is_in(ids))
        .group_by(Column::Id)
        .into_tuple()
        .all(query_pool)
        .await?;
    let one = |(id, revision): (String, i32)| {
        Condition::all().add(Column::Id.eq(id)).add(Column::Revision.eq(revision))
    };
    let newest = newest.into_iter().map(one).fold(Condition::any(), Condition::add);
    Ok(checked(readable(query_pool, job::Entity::find().filter(newest)).await?))
}

fn checked(rows: Vec<job::Model>) -> Vec<JobRevision> {
    let read = |row: &job::Model| job_revision(row).map_err(|why| unreadable("jobs", &why)).ok();
    rows.iter().filter_map(read).collect()
}

/// The first of these. One that makes no sense is an error: what it stands for is not known.
async fn first_of(
    query_pool: &DatabaseConnection,
    select: Select<job::Entity>,
) -> Result<Option<JobRevision>, JournalError> {
    let Some(row) = select.limit(1).one(query_pool).await? else { return Ok(None) };
    match job_revision(&row) {
        Ok(revision) => Ok(Some(revision)),
        Err(why) => {
            unreadable("jobs", &why);
            Err(JournalError::UnreadableJob { why })
        }
    }
}

fn unreadable(table: &str, why: &str) {
    tracing::error!(event = "row_unreadable", table, why, "a row of the jobs cannot be read");
}
