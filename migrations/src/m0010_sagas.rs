//! Definitions of sagas. Rows are only ever added: each revision of a name is a row, whether it puts a
//! version or retires what there is, so that two writers can never both be right about what is newest.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_query::{Index, Table};

use crate::column::{id, long_text, moment, number};
use crate::table::of_ours;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0010_sagas"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut key = Index::create();
        key.col("name").col("revision");
        let mut sagas = Table::create();
        sagas
            .table("sagas")
            .if_not_exists()
            .col(id(on, "name", 64).not_null())
            // From 1, without gaps. The key is what two writers compete for.
            .col(number("revision").not_null())
            // That it puts, or the newest that it retires.
            .col(number("version").not_null())
            // Null where it retires. Nothing is searched by what is in it.
            .col(long_text(on, "document"))
            .col(moment("at").not_null())
            .col(long_text(on, "who").not_null())
            .primary_key(&mut key);
        manager.create_table(of_ours(on, sagas)).await
    }
}
