//! What several programs that use one database at different versions go by, what all nodes on it
//! share, and on PostgreSQL
//! the batches of each life, one row each, which are its fence there.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::{ColumnDef, Index, Query, Table};

use crate::column::{id, long_text, moment, number, word};
use crate::table::of_ours;

/// A program that knows fewer steps than this cannot make sense of the tables.
const READS_FROM: i32 = 4;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0004_shared"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let on = connection.get_database_backend();
        let mut compat = Table::create();
        let mut key = Index::create();
        key.col("id");
        compat
            .table("schema_compat")
            .if_not_exists()
            // Of its one row.
            .col(number("id").not_null())
            .col(number("reads_from").not_null())
            .primary_key(&mut key);
        manager.create_table(of_ours(on, compat)).await?;
        let ask = Query::select().column("reads_from").from("schema_compat").take();
        if connection.query_one(&ask).await?.is_none() {
            let first = Query::insert()
                .into_table("schema_compat")
                .columns(["id", "reads_from"])
                .values_panic([1.into(), READS_FROM.into()])
                .take();
            connection.execute(&first).await?;
        }
        // One process has a file to itself.
        if on != DatabaseBackend::Sqlite {
            let mut settings = Table::create();
            let mut key = Index::create();
            key.col("name");
            settings
                .table("cluster_settings")
                .if_not_exists()
                .col(id(on, "name", 64).not_null())
                .col(long_text(on, "value").not_null())
                .primary_key(&mut key);
            manager.create_table(of_ours(on, settings)).await?;
        }
        if on == DatabaseBackend::Postgres {
            let mut key = Index::create();
            key.col("incarnation").col("batch_no");
            let mut batches = Table::create();
            batches
                .table("node_batches")
                .if_not_exists()
                .col(ColumnDef::new("incarnation").big_integer().not_null())
                .col(ColumnDef::new("batch_no").big_integer().not_null())
                .col(word("state").not_null())
                .col(moment("written_at"))
                .primary_key(&mut key);
            manager.create_table(batches).await?;
        }
        Ok(())
    }
}
