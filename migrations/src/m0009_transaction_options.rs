//! What a transaction asks for beyond its branches: whom to ask at its deadline, which definition it
//! is a run of. Few transactions ask for anything, so it stands in rows of its own, which are looked
//! for only where there can be one: of open transactions and of sagas.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_query::{Index, Table};

use crate::column::{id, long_text};
use crate::table::of_ours;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0009_transaction_options"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut key = Index::create();
        key.col("gid");
        let mut options = Table::create();
        options
            .table("transaction_options")
            .if_not_exists()
            .col(id(on, "gid", 128).not_null())
            // One JSON text: nothing is searched by what is in it.
            .col(long_text(on, "options").not_null())
            .primary_key(&mut key);
        manager.create_table(of_ours(on, options)).await
    }
}
