//! Participants that operators have paused: a row for each that ever was, which says whether it is.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_query::{Index, Table};

use crate::column::{flag, id, long_text, moment};
use crate::table::of_ours;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0011_pauses"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut key = Index::create();
        key.col("participant");
        let mut pauses = Table::create();
        pauses
            .table("participant_pauses")
            .if_not_exists()
            .col(id(on, "participant", 320).not_null())
            .col(flag("paused").not_null())
            .col(moment("at").not_null())
            .col(long_text(on, "who").not_null())
            .col(long_text(on, "note"))
            .primary_key(&mut key);
        manager.create_table(of_ours(on, pauses)).await
    }
}
