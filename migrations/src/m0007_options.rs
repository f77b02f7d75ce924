//! What a branch asks for beyond its calls: its place in a saga, how often its Try may fail. Few
//! branches ask for anything, so it stands in rows of its own, and `stage` in a branch's own row,
//! which was kept for this and is 0 where there is none, says that there is one.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::{ConditionalStatement, Expr, Index, Table};

use crate::column::{id, long_text};
use crate::table::of_ours;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0007_options"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut key = Index::create();
        key.col("gid").col("branch_id");
        let mut options = Table::create();
        options
            .table("branch_options")
            .if_not_exists()
            .col(id(on, "gid", 128).not_null())
            .col(id(on, "branch_id", 64).not_null())
            // One JSON text: nothing is searched by what is in it.
            .col(long_text(on, "options").not_null())
            .primary_key(&mut key);
        manager.create_table(of_ours(on, options)).await?;
        if on == DatabaseBackend::MySql {
            // It has no partial indexes, and one over all would cost every transaction an entry.
            return Ok(());
        }
        // So that the few sagas among millions are listed by themselves.
        let mut sagas = Index::create();
        sagas
            .name("global_transactions_sagas")
            .table("global_transactions")
            .if_not_exists()
            .col("created_at")
            .col("gid")
            .and_where(Expr::cust("pattern = 'saga'"));
        manager.create_index(sagas).await
    }
}
