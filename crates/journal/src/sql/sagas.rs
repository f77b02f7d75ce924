//! Definitions of sagas, as the rows have them.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use tercet_engine::SagaRevision;
use tercet_wire::{SagaName, Wall};

use super::entities::saga;
use super::rows::saga_revision;
use crate::error::JournalError;
use crate::stored_saga::{ListedSaga, StoredSaga};

/// A name and one version of it, or its newest.
pub(crate) async fn one(
    query_pool: &DatabaseConnection,
    name: &SagaName,
    version: Option<u32>,
) -> Result<Option<StoredSaga>, JournalError> {
    let newest = of(name).order_by_desc(saga::Column::Revision).limit(1);
    let Some(newest) = first(query_pool, newest).await? else { return Ok(None) };
    let wanted = version.unwrap_or(newest.version);
    if newest.version == wanted && !newest.retires() {
        return Ok(Some(StoredSaga { found: Some(newest.clone()), newest, retired_at: None }));
    }
    use saga::Column;
    let put = of(name).filter(Column::Version.eq(wanted)).filter(Column::Document.is_not_null());
    let found = first(query_pool, put.limit(1)).await?;
    // Whatever was newest then was retired, and so was all before it.
    let retired = of(name).filter(Column::Version.gte(wanted)).filter(Column::Document.is_null());
    let retired = first(query_pool, retired.order_by_asc(Column::Revision).limit(1)).await?;
    let retired_at = retired.filter(|_| found.is_some()).map(|retired| retired.at);
    Ok(Some(StoredSaga { newest, found, retired_at }))
}

/// Names after this one, in their order, each as it is now.
pub(crate) async fn page(
    query_pool: &DatabaseConnection,
    after: Option<&SagaName>,
    limit: u32,
) -> Result<Vec<ListedSaga>, JournalError> {
    use saga::Column;
    let on = query_pool.get_database_backend();
    let mut names = saga::Entity::find()
        .select_only()
        .column(Column::Name)
        .column_as(Column::Revision.max(), "revision")
        .group_by(Column::Name)
        .order_by_asc(Column::Name)
        .limit(u64::from(limit));
    if let Some(after) = after {
        names = names.filter(Column::Name.gt(after.as_str()));
    }
    let names = query_pool.query_all_raw(names.build(on)).await?;
    let mut newest = Condition::any();
    let mut any = false;
    for row in &names {
        match Newest::from_query_result(row, "") {
            Ok(Newest { name, revision }) => {
                let of_name = Condition::all().add(Column::Name.eq(name));
                newest = newest.add(of_name.add(Column::Revision.eq(revision)));
                any = true;
            }
            Err(error) => unreadable(&error.to_string()),
        }
    }
    // Without a condition it would be all of them.
    if !any {
        return Ok(Vec::new());
    }
    // Documents are large, and only whether there is one is asked.
    let begins = Expr::cust("SUBSTR(document, 1, 1)");
    let rows = saga::Entity::find()
        .select_only()
        .columns([Column::Name, Column::Version, Column::At])
        .column_as(begins, "begins")
        .filter(newest)
        .order_by_asc(Column::Name);
    let rows = query_pool.query_all_raw(rows.build(on)).await?;
    let mut listed = Vec::with_capacity(rows.len());
    for row in &rows {
        let read = Listed::from_query_result(row, "").map_err(|error| error.to_string());
        match read.and_then(Listed::checked) {
            Ok(one) => listed.push(one),
            Err(why) => unreadable(&why),
        }
    }
    Ok(listed)
}

/// How many names there are, retired ones too.
pub(crate) async fn count(query_pool: &DatabaseConnection) -> Result<u64, JournalError> {
    let count =
        saga::Entity::find().select_only().column_as(Expr::cust("COUNT(DISTINCT name)"), "names");
    let count = count.build(query_pool.get_database_backend());
    let row = query_pool.query_one_raw(count).await?;
    let names = row.map(|row| row.try_get::<i64>("", "names")).transpose()?;
    Ok(names.and_then(|names| u64::try_from(names).ok()).unwrap_or(0))
}

fn of(name: &SagaName) -> Select<saga::Entity> {
    saga::Entity::find().filter(saga::Column::Name.eq(name.as_str()))
}

/// The first of these. One that makes no sense is an error: what it stands for is not known.
async fn first(
    query_pool: &DatabaseConnection,
    select: Select<saga::Entity>,
) -> Result<Option<SagaRevision>, JournalError> {
    let Some(row) = select.one(query_pool).await? else { return Ok(None) };
    match saga_revision(&row) {
        Ok(revision) => Ok(Some(revision)),
        Err(why) => {
            unreadable(&why);
            Err(JournalError::UnreadableSaga { why })
        }
    }
}

fn unreadable(why: &str) {
    tracing::error!(
        event = "row_unreadable",
        table = "sagas",
        why,
        "a row of the definitions of sagas cannot be read"
    );
}

#[derive(Debug, FromQueryResult)]
struct Newest {
    name: String,
    revision: i32,
}

#[derive(Debug, FromQueryResult)]
struct Listed {
    name: String,
    version: i32,
    at: i64,
    begins: Option<String>,
}

impl Listed {
    fn checked(self) -> Result<ListedSaga, String> {
        let Self { name, version, at, begins } = self;
        Ok(ListedSaga {
            name: name.parse().map_err(|error| format!("name: {error}"))?,
            version: u32::try_from(version).map_err(|error| format!("version: {error}"))?,
            at: Wall(at),
            retired: begins.is_none(),
        })
    }
}
