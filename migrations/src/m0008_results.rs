//! What Tries were answered with, where whoever comes after is told. Few transactions have any, so
//! it stands in a table of its own; it is written with what makes its branch tried, and never
//! changes.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_query::{Index, Table};

use crate::column::{id, long_text, number};
use crate::table::of_ours;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0008_results"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut key = Index::create();
        key.col("gid").col("branch_id");
        let mut results = Table::create();
        results
            .table("branch_results")
            .if_not_exists()
            .col(id(on, "gid", 128).not_null())
            .col(id(on, "branch_id", 64).not_null())
            // A JSON value, as text: it is sent to the byte.
            .col(long_text(on, "result").not_null())
            // Of the body that it was made of: what all of a transaction have together is bounded.
            .col(number("body_bytes").not_null())
            .primary_key(&mut key);
        manager.create_table(of_ours(on, results)).await
    }
}
