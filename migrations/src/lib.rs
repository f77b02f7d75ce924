//! The schema of Tercet's journal, step by step.
//!
//! A step may be run again after a crash in its middle: whatever it makes, it makes only if
//! it is not there. Who calls [`up`] holds whatever lock its database needs, so that two
//! processes never migrate at once.

mod column;
mod m0001_journal;
mod m0002_written_at;
mod m0003_words;
mod m0004_shared;
mod m0005_audit;
mod m0006_protocol;
mod m0007_options;
mod m0008_results;
mod m0009_transaction_options;
mod m0010_sagas;
mod m0011_pauses;
mod m0012_jobs;
mod m0013_holds;
mod m0014_console;
mod m0015_rows;
mod table;

use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_migration::sea_query::{DynIden, IntoIden, Order, Query};
use sea_orm_migration::{DbErr, MigrationTrait, MigratorTrait, SchemaManager};

/// The table of the steps that were applied.
const STEPS: &str = "schema_steps";

/// All steps, oldest first. A step that was ever released is never changed: another follows it.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_journal::Step),
            Box::new(m0002_written_at::Step),
            Box::new(m0003_words::Step),
            Box::new(m0004_shared::Step),
            Box::new(m0005_audit::Step),
            Box::new(m0006_protocol::Step),
            Box::new(m0007_options::Step),
            Box::new(m0008_results::Step),
            Box::new(m0009_transaction_options::Step),
            Box::new(m0010_sagas::Step),
            Box::new(m0011_pauses::Step),
            Box::new(m0012_jobs::Step),
            Box::new(m0013_holds::Step),
            Box::new(m0014_console::Step),
            Box::new(m0015_rows::Step),
        ]
    }

    fn migration_table_name() -> DynIden {
        STEPS.into_iden()
    }
}

/// A step and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStatus {
    /// Its name.
    pub name: String,
    /// Whether it was applied.
    pub applied: bool,
}

/// Applies the steps the database does not have. A database that a newer program has added to is
/// left as it is.
///
/// # Errors
/// A statement failed, or a newer program has changed what this one reads.
pub async fn up(database: &DatabaseConnection) -> Result<(), DbErr> {
    let unknown = unknown(&applied(database).await?);
    if unknown.is_empty() {
        return Migrator::up(database, None).await;
    }
    refuse_newer(database).await
}

/// Refuses a database that a newer program has changed so that this one cannot use it. One that was
/// only added to is none.
///
/// # Errors
/// It is such a one, or a statement failed.
pub async fn refuse_newer(database: &DatabaseConnection) -> Result<(), DbErr> {
    let applied = applied(database).await?;
    let unknown = unknown(&applied);
    if unknown.is_empty() {
        return Ok(());
    }
    let known = Migrator::migrations();
    let has_all = known.iter().all(|step| applied.iter().any(|name| name == step.name()));
    let needed = reads_from(database).await?;
    let is_enough =
        needed.is_some_and(|needed| i64::try_from(known.len()).is_ok_and(|known| known >= needed));
    if has_all && is_enough {
        return Ok(());
    }
    let unknown = unknown.join(", ");
    Err(DbErr::Custom(format!(
        "the database was changed by a newer version of this program (it has {unknown}), and this \
         one cannot use it any more"
    )))
}

/// The statement after which no program can use the database that would not find rows under instances.
#[must_use]
pub fn rows_under_instances() -> String {
    m0015_rows::raised()
}

/// Which steps the database has, those of newer programs last. Only reads.
///
/// # Errors
/// A statement failed.
pub async fn status(database: &DatabaseConnection) -> Result<Vec<StepStatus>, DbErr> {
    let applied = applied(database).await?;
    let known = Migrator::migrations().into_iter().map(|step| StepStatus {
        name: step.name().to_owned(),
        applied: applied.iter().any(|name| name == step.name()),
    });
    let unknown = unknown(&applied).into_iter().map(|name| StepStatus { name, applied: true });
    Ok(known.chain(unknown).collect())
}

/// The names of the steps that the database has.
async fn applied(database: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    if !SchemaManager::new(database).has_table(STEPS).await? {
        return Ok(Vec::new());
    }
    let ask = Query::select().column("version").from(STEPS).order_by("version", Order::Asc).take();
    database.query_all(&ask).await?.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Those of them that this program does not know.
fn unknown(applied: &[String]) -> Vec<String> {
    let known = Migrator::migrations();
    let is_known = |name: &&String| known.iter().any(|step| step.name() == *name);
    applied.iter().filter(|name| !is_known(name)).cloned().collect()
}

/// How many steps a program must know to make sense of the tables, if the database says so.
async fn reads_from(database: &DatabaseConnection) -> Result<Option<i64>, DbErr> {
    if !SchemaManager::new(database).has_table("schema_compat").await? {
        return Ok(None);
    }
    let ask = Query::select().column("reads_from").from("schema_compat").take();
    match database.query_one(&ask).await? {
        Some(row) => row.try_get_by_index::<i32>(0).map(|number| Some(i64::from(number))),
        None => Ok(None),
    }
}
