//! Whether what was trying when the database was restored from a backup is held. Rows are only ever
//! added; the newest says how it stands.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_query::Table;

use crate::column::{long_text, moment, number};
use crate::table::of_ours;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0013_holds"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut holds = Table::create();
        holds
            .table("holds")
            .if_not_exists()
            // From 1, without gaps. The key is what two writers compete for.
            .col(number("number").not_null().primary_key())
            // Null where it is released.
            .col(moment("held_to"))
            .col(moment("at").not_null())
            .col(long_text(on, "who").not_null());
        manager.create_table(of_ours(on, holds)).await
    }
}
