//! Jobs: what is done to many transactions, one after the other. Rows are only ever added. Each
//! change of a job is a row, so that of two nodes that take it for theirs only one can be right; and
//! that it has come to a transaction is a row beside that transaction's, written in one commit with
//! what it did there.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::{Index, Table};

use crate::column::{big_number, id, long_text, moment, number};
use crate::table::of_ours;

const JOBS: &str = "jobs";
const TICKS: &str = "job_ticks";

/// How many transactions a job has come to is counted by the first, and its first failures are
/// found by it; those jobs that have ended by the second.
const INDEXES: [(&str, &str, &[&str]); 2] = [
    ("job_ticks_job", TICKS, &["job_id", "number", "code"]),
    ("jobs_stage", JOBS, &["stage", "id", "at"]),
];

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0012_jobs"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        let mut key = Index::create();
        key.col("id").col("revision");
        let mut jobs = Table::create();
        jobs.table(JOBS)
            .if_not_exists()
            .col(id(on, "id", 36).not_null())
            // From 1, without gaps. The key is what two writers compete for.
            .col(number("revision").not_null())
            .col(id(on, "stage", 32).not_null())
            .col(moment("at").not_null())
            // Which life of a node drives it.
            .col(big_number("owner").not_null())
            .col(big_number("matched").not_null())
            .col(big_number("done").not_null())
            .col(big_number("failed").not_null())
            // One JSON value. Nothing is searched by what is in it.
            .col(long_text(on, "document"))
            .primary_key(&mut key);
        manager.create_table(of_ours(on, jobs)).await?;
        let mut key = Index::create();
        key.col("gid").col("job_id");
        let mut ticks = Table::create();
        ticks
            .table(TICKS)
            .if_not_exists()
            .col(id(on, "gid", 128).not_null())
            .col(id(on, "job_id", 36).not_null())
            .col(number("number").not_null())
            // Null where it did what it does.
            .col(id(on, "code", 64))
            .primary_key(&mut key);
        manager.create_table(of_ours(on, ticks)).await?;
        for (name, table, columns) in INDEXES {
            // MySQL has no words for "if it is not there yet".
            if on == DatabaseBackend::MySql && manager.has_index(table, name).await? {
                continue;
            }
            let mut index = Index::create();
            index.name(name).table(table).if_not_exists();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
