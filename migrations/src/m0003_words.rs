//! What participants and operators have said of a branch: the last answer that was no success, a
//! resolution that has not taken effect yet, and whether the participant contradicted one.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_query::{ColumnDef, Table};

use crate::column::{flag, long_text};

const OUTCOMES: &str = "branch_outcomes";

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0003_words"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut contradicted = flag("contradicted");
        contradicted.not_null().default(false);
        // Each is one JSON text: nothing is searched by what is in it.
        add(manager, "last_answer", long_text(on, "last_answer")).await?;
        add(manager, "pending_resolution", long_text(on, "pending_resolution")).await?;
        add(manager, "contradicted", contradicted).await
    }
}

async fn add(manager: &SchemaManager<'_>, name: &str, column: ColumnDef) -> Result<(), DbErr> {
    // SQLite has no words for "if it is not there yet".
    if manager.has_column(OUTCOMES, name).await? {
        return Ok(());
    }
    let mut add = Table::alter();
    add.table(OUTCOMES).add_column(column);
    manager.alter_table(add).await
}
