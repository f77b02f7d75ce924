//! What operators did: a row each, written in the commit of what it changed.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::{Index, Table};

use crate::column::{id, long_text, moment, word};
use crate::table::of_ours;

const AUDIT: &str = "audit";

/// Each list of it is walked by one of these, newest first; and what is too old is found by the
/// first.
const INDEXES: [(&str, &[&str]); 2] =
    [("audit_at", &["at", "id"]), ("audit_gid", &["gid", "at", "id"])];

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0005_audit"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut audit = Table::create();
        let mut key = Index::create();
        key.col("id");
        audit
            .table(AUDIT)
            .if_not_exists()
            .col(id(on, "id", 36).not_null())
            .col(moment("at").not_null())
            .col(long_text(on, "who").not_null())
            .col(word("role").not_null())
            .col(word("action").not_null())
            // Null where it was done to no single transaction.
            .col(id(on, "gid", 128))
            .col(id(on, "branch_id", 64))
            .col(long_text(on, "note"))
            // One JSON object: nothing is searched by what is in it.
            .col(long_text(on, "detail").not_null())
            .primary_key(&mut key);
        manager.create_table(of_ours(on, audit)).await?;
        for (name, columns) in INDEXES {
            // MySQL has no words for "if it is not there yet".
            if on == DatabaseBackend::MySql && manager.has_index(AUDIT, name).await? {
                continue;
            }
            let mut index = Index::create();
            index.name(name).table(AUDIT).if_not_exists();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
