//! The secret of those who use a database, on SQLite too: on servers the nodes have one there already,
//! which they keep when they first start. What people's sessions with the console are sealed with
//! comes from it, so that they outlive the process, and hold at every node.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::{Index, Table};

use crate::column::{id, long_text};
use crate::table::of_ours;

/// 256 bits of SQLite's own, which it seeds from the operating system; kept if there are any.
const KEEP: &str = "INSERT INTO cluster_settings (name, value) \
                    SELECT 'secret', lower(hex(randomblob(32))) \
                    WHERE NOT EXISTS (SELECT 1 FROM cluster_settings WHERE name = 'secret')";

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0014_console"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let on = connection.get_database_backend();
        if on != DatabaseBackend::Sqlite {
            return Ok(());
        }
        let mut key = Index::create();
        key.col("name");
        let mut settings = Table::create();
        settings
            .table("cluster_settings")
            .if_not_exists()
            .col(id(on, "name", 64).not_null())
            .col(long_text(on, "value").not_null())
            .primary_key(&mut key);
        manager.create_table(of_ours(on, settings)).await?;
        connection.execute_unprepared(KEEP).await?;
        Ok(())
    }
}
