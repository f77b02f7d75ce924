//! An initiator that does something of its own, and sends a message with it.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait,
};
use serde_json::json;
use tercet_participant::{
    NewBranch, NewTransaction, NotSent, Outbox, OutboxEntry, OutboxState, Relay,
};

use crate::coordinator::Coordinator;
use crate::database::Database;

/// One process of an initiator.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) db: DatabaseConnection,
    pub(crate) outbox: Outbox,
}

/// A message: its branch is called for Confirm alone.
pub(crate) fn message(gid: &str) -> NewTransaction {
    let branch = NewBranch::new("invoice").confirm_url("http://127.0.0.1:1/invoice/confirm");
    let branch = branch.payload(&json!({"order": gid})).expect("JSON");
    NewTransaction::new().gid(gid).branch(branch)
}

impl Sender {
    pub(crate) async fn start(database: &Database) -> Self {
        Self::start_with(database, 4).await
    }

    /// The same with so many connections.
    pub(crate) async fn start_with(database: &Database, connections: u32) -> Self {
        let db = database.connect(connections).await;
        let outbox = Outbox::new(db.clone());
        outbox.migrate().await.expect("the table");
        let orders = "CREATE TABLE IF NOT EXISTS orders (gid VARCHAR(128) NOT NULL)";
        db.execute_unprepared(orders).await.expect("a table");
        Self { db, outbox }
    }

    /// Does its own work, and sends a message if that commits.
    pub(crate) async fn works(&self, gid: &str) -> Result<DatabaseTransaction, NotSent> {
        let tx = self.db.begin().await?;
        tx.execute_unprepared(&format!("INSERT INTO orders (gid) VALUES ('{gid}')")).await?;
        self.outbox.send(&tx, message(gid)).await?;
        Ok(tx)
    }

    pub(crate) async fn sends(&self, gid: &str) {
        let tx = self.works(gid).await.expect("it is written");
        tx.commit().await.expect("a commit");
    }

    /// The gids of the work that is done.
    pub(crate) async fn orders(&self) -> Vec<String> {
        let sql = "SELECT gid FROM orders ORDER BY gid";
        let rows = Statement::from_string(self.db.get_database_backend(), sql);
        let rows = self.db.query_all_raw(rows).await.expect("rows");
        rows.iter().map(|row| row.try_get("", "gid").expect("a gid")).collect()
    }

    pub(crate) fn relay(&self, coordinator: &Coordinator) -> Relay {
        Relay::new(self.outbox.clone(), coordinator.client())
    }

    pub(crate) async fn entry(&self, gid: &str) -> OutboxEntry {
        let gid = gid.parse().expect("a gid");
        self.outbox.entry(&gid).await.expect("an answer").expect("it was sent")
    }

    pub(crate) async fn state(&self, gid: &str) -> OutboxState {
        self.entry(gid).await.state
    }

    /// Lets so much time pass for every message: it is due, or its lease has run out.
    pub(crate) async fn passes(&self, time: Duration) {
        let sql = format!("UPDATE tercet_outbox SET due_at = due_at - {}", time.as_millis());
        self.db.execute_unprepared(&sql).await.expect("time passes");
    }
}
