//! The schema of Tercet's journal, step by step.
//!
//! A step may be run again after a crash in its middle: whatever it makes, it makes only if
//! it is not there. Who calls [`up`] holds whatever lock its database needs, so that two
//! processes never migrate at once.

mod column;
mod m0001_journal;
mod m0002_written_at;
mod m0003_words;

use sea_orm_migration::sea_orm::DatabaseConnection;
use sea_orm_migration::sea_query::{DynIden, IntoIden};
use sea_orm_migration::{DbErr, MigrationStatus, MigrationTrait, MigratorTrait};

/// All steps, oldest first. A step that was ever released is never changed: another follows it.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_journal::Step),
            Box::new(m0002_written_at::Step),
            Box::new(m0003_words::Step),
        ]
    }

    fn migration_table_name() -> DynIden {
        "schema_steps".into_iden()
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

/// Applies the steps the database does not have.
///
/// # Errors
/// A statement failed, or the database has steps this program does not know: it was written
/// by a newer one.
pub async fn up(database: &DatabaseConnection) -> Result<(), DbErr> {
    Migrator::up(database, None).await
}

/// Which steps the database has. Only reads.
///
/// # Errors
/// As [`up`].
pub async fn status(database: &DatabaseConnection) -> Result<Vec<StepStatus>, DbErr> {
    let steps = Migrator::get_migration_with_status_read_only(database).await?;
    let shown = |step: &sea_orm_migration::Migration| StepStatus {
        name: step.name().to_owned(),
        applied: matches!(step.status(), MigrationStatus::Applied),
    };
    Ok(steps.iter().map(shown).collect())
}
