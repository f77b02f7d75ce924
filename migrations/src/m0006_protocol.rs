//! How each node speaks to the others, so that people see what is not replaced yet.

use async_trait::async_trait;
use sea_orm_migration::prelude::{DbErr, MigrationName, MigrationTrait, SchemaManager};
use sea_orm_migration::sea_query::Table;

use crate::column::number;

/// What nodes spoke that did not say it.
const BEFORE: i32 = 1;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0006_protocol"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite has no words for "if it is not there yet".
        if manager.has_column("nodes", "protocol").await? {
            return Ok(());
        }
        let mut protocol = number("protocol");
        protocol.not_null().default(BEFORE);
        let mut add = Table::alter();
        add.table("nodes").add_column(protocol);
        manager.alter_table(add).await
    }
}
