//! The journal: what changes is narrow; what never changes is never rewritten.

use async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use sea_orm_migration::sea_orm::DatabaseBackend;
use sea_orm_migration::sea_query::{
    ColumnDef, ConditionalStatement, Expr, ExprTrait, Index, IndexCreateStatement, Table,
    TableCreateStatement,
};

use crate::column::{flag, id, long_text, moment, number, word};
use crate::table::of_ours;

const GID_LEN: u32 = 128;
const BRANCH_ID_LEN: u32 = 64;
const UUID_LEN: u32 = 36;
const PARTICIPANT_LEN: u32 = 320;

/// This step.
pub(crate) struct Step;

impl MigrationName for Step {
    fn name(&self) -> &'static str {
        "m0001_journal"
    }
}

#[async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on = manager.get_connection().get_database_backend();
        for table in tables(on) {
            manager.create_table(of_ours(on, table)).await?;
        }
        for (name, index) in indexes(on) {
            // MySQL has no words for "if it is not there yet", and no transaction around steps: one
            // that died in its middle has made some.
            let is_there = on == DatabaseBackend::MySql
                && manager.has_index("global_transactions", name).await?;
            if !is_there {
                manager.create_index(index).await?;
            }
        }
        Ok(())
    }
}

fn tables(on: DatabaseBackend) -> Vec<TableCreateStatement> {
    let gid = || id(on, "gid", GID_LEN);
    vec![
        // Written at every step of a transaction, so it holds little.
        table(
            "global_transactions",
            &["gid"],
            [
                gid().not_null(),
                id(on, "instance", UUID_LEN).not_null(),
                word("pattern").not_null(),
                word("status").not_null(),
                // The incarnation that drives it; null once it has finished.
                ColumnDef::new("owner").big_integer(),
                flag("open").not_null(),
                &mut word("reason"),
                flag("parked").not_null(),
                moment("created_at").not_null(),
                moment("deadline_at").not_null(),
                &mut moment("decided_at"),
                &mut moment("finished_at"),
            ],
        ),
        // Written once, but for the caller's reason that comes with the decision.
        table(
            "global_details",
            &["gid"],
            [
                gid().not_null(),
                ColumnDef::new("fingerprint").string_len(128).not_null(),
                &mut long_text(on, "metadata"),
                ColumnDef::new("traceparent").string_len(128).not_null(),
                &mut long_text(on, "reason_detail"),
            ],
        ),
        // Written once.
        table(
            "branch_transactions",
            &["gid", "branch_id"],
            [
                gid().not_null(),
                id(on, "branch_id", BRANCH_ID_LEN).not_null(),
                number("position").not_null(),
                number("stage").not_null(),
                // False for the branches given at begin.
                flag("registered").not_null(),
                ColumnDef::new("participant").string_len(PARTICIPANT_LEN).not_null(),
                &mut long_text(on, "try_url"),
                &mut long_text(on, "confirm_url"),
                &mut long_text(on, "cancel_url"),
                long_text(on, "headers").not_null(),
                long_text(on, "payload").not_null(),
                ColumnDef::new("timeout_ms").big_integer().not_null(),
                word("try_by").not_null(),
                ColumnDef::new("fingerprint").string_len(128).not_null(),
            ],
        ),
        // Only of branches that left the happy path.
        table(
            "branch_outcomes",
            &["gid", "branch_id"],
            [
                gid().not_null(),
                id(on, "branch_id", BRANCH_ID_LEN).not_null(),
                word("status").not_null(),
                ColumnDef::new("try_attempts").big_integer().not_null(),
                ColumnDef::new("confirm_attempts").big_integer().not_null(),
                ColumnDef::new("cancel_attempts").big_integer().not_null(),
                flag("parked").not_null(),
                &mut long_text(on, "last_error"),
                // The last answer of a Try that was refused or failed: a body alone when no
                // status arrived.
                &mut number("answer_status"),
                &mut long_text(on, "answer_body"),
                &mut word("resolved_as"),
                &mut moment("acknowledged_at"),
            ],
        ),
        table(
            "transaction_events",
            &["gid", "number"],
            [
                gid().not_null(),
                ColumnDef::new("number").big_integer().not_null(),
                moment("at").not_null(),
                word("kind").not_null(),
                &mut id(on, "branch_id", BRANCH_ID_LEN),
                &mut word("op"),
                ColumnDef::new("attempt").big_integer(),
                &mut long_text(on, "detail"),
            ],
        ),
        // Each life of each node: its fence, and the identity of the last batch it wrote.
        table(
            "nodes",
            &["incarnation"],
            [
                ColumnDef::new("incarnation").big_integer().not_null(),
                ColumnDef::new("node_id").string_len(128).not_null(),
                ColumnDef::new("url").string_len(2048).not_null(),
                word("state").not_null(),
                ColumnDef::new("batch_no").big_integer().not_null(),
                moment("started_at").not_null(),
            ],
        ),
    ]
}

fn table<const N: usize>(
    name: &'static str,
    key: &[&'static str],
    columns: [&mut ColumnDef; N],
) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).if_not_exists();
    for column in columns {
        table.col(column);
    }
    let mut primary = Index::create();
    for column in key {
        primary.col(*column);
    }
    table.primary_key(&mut primary);
    table
}

fn indexes(on: DatabaseBackend) -> Vec<(&'static str, IndexCreateStatement)> {
    let on_transactions = |name: &'static str, columns: &[&'static str]| {
        let mut index = Index::create();
        index.name(name).table("global_transactions").if_not_exists();
        for column in columns {
            index.col(*column);
        }
        (name, index)
    };
    let (name, mut by_owner) = on_transactions("global_transactions_owner", &["owner", "gid"]);
    match on {
        // MySQL has no partial indexes, and keeps the rows without an owner in it too.
        DatabaseBackend::MySql => {}
        // Finished transactions are many and have no owner: they need no entry.
        _ => {
            by_owner.and_where(Expr::col("owner").is_not_null());
        }
    }
    vec![
        on_transactions("global_transactions_status", &["status", "created_at", "gid"]),
        on_transactions("global_transactions_created", &["created_at", "gid"]),
        (name, by_owner),
    ]
}
