//! When a node wrote last: what its next life compares its wall clock with.

use async_trait::async_trait;
use sea_orm_migration::prelude::{DbErr, MigrationName, MigrationTrait, SchemaManager};
use sea_orm_migration::sea_query::Table;

use crate::column::moment;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0002_written_at"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite has no words for "if it is not there yet".
        if manager.has_column("nodes", "written_at").await? {
            return Ok(());
        }
        let mut add = Table::alter();
        // Null: nothing was ever written.
        add.table("nodes").add_column(moment("written_at"));
        manager.alter_table(add).await
    }
}
