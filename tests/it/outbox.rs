//! The SDK's outbox with the real daemon: a message goes out exactly if its local transaction committed, whoever dies.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use tercet_participant::OutboxState::{self, Cancelled, Confirmed, Dead};
use tercet_participant::{Client, NewBranch, NewTransaction, Outbox, Relay};
use tercet_testing::{Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

/// An initiator with a file of its own.
struct Initiator {
    db: DatabaseConnection,
    outbox: Outbox,
    _directory: tempfile::TempDir,
}

impl Initiator {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("orders.db").display());
        let db = Database::connect(url).await.expect("a database");
        db.execute_unprepared("PRAGMA journal_mode = WAL").await.expect("WAL");
        db.execute_unprepared("CREATE TABLE orders (gid TEXT NOT NULL)").await.expect("a table");
        let outbox = Outbox::new(db.clone());
        outbox.migrate().await.expect("its table");
        Self { db, outbox, _directory: directory }
    }

    fn relay(&self, tercet: &Tercet) -> Relay {
        let client = Client::new(&format!("http://{}", tercet.address())).expect("a client");
        Relay::new(self.outbox.clone(), client)
    }

    /// Does its own work, and sends a transaction with it.
    async fn sends(&self, gid: &str, branch: NewBranch, commits: bool) {
        let tx = self.db.begin().await.expect("a transaction");
        let order = format!("INSERT INTO orders (gid) VALUES ('{gid}')");
        tx.execute_unprepared(&order).await.expect("an order");
        let transaction = NewTransaction::new().gid(gid).branch(branch);
        self.outbox.send(&tx, transaction).await.expect("it is written");
        let ended = if commits { tx.commit().await } else { tx.rollback().await };
        ended.expect("it ends");
    }

    /// Waits until a message has come into this state.
    async fn becomes(&self, gid: &str, state: OutboxState) {
        let parsed = gid.parse().expect("a gid");
        let look = async || {
            let entry = self.outbox.entry(&parsed).await.expect("an answer").expect("it was sent");
            (entry.state == state).then_some(())
        };
        eventually(&format!("{gid} is {state}"), look).await;
    }
}

/// A message: a branch of Confirm alone.
fn message(at: &Participant) -> NewBranch {
    NewBranch::new("invoice").confirm_url(at.url("/invoice/confirm"))
}

/// Keeps P1, P4.
#[tokio::test]
async fn a_message_goes_out_exactly_if_its_local_transaction_committed() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let initiator = Initiator::start().await;
    initiator.sends("given-up", message(&participant), false).await;
    initiator.sends("order-1", message(&participant), true).await;
    let reservation = NewBranch::new("stock").endpoint(participant.url("/stock"));
    initiator.sends("order-2", reservation.clone(), true).await;
    participant.next("stock", Op::Try, [Reaction::status(200), Reaction::status(409)]);
    let relay = initiator.relay(&tercet).spawn();
    initiator.becomes("order-1", Confirmed).await;
    initiator.becomes("order-2", Confirmed).await;
    initiator.sends("order-3", reservation, true).await;
    initiator.becomes("order-3", Cancelled).await;
    let nowhere = NewBranch::new("invoice").confirm_url("http://169.254.169.254/confirm");
    initiator.sends("poison", nowhere, true).await;
    initiator.becomes("poison", Dead).await;
    relay.stop().await;
    let gids: Vec<String> =
        participant.calls_of("invoice", Op::Confirm).into_iter().map(|call| call.gid).collect();
    assert_eq!(gids, ["order-1"]);
}

/// Keeps P4, P5.
#[tokio::test]
async fn a_coordinator_that_is_killed_loses_no_message() {
    const MESSAGES: usize = 30;
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let initiator = Initiator::start().await;
    let relay = initiator.relay(&tercet).looking_every(Duration::from_millis(20)).spawn();
    for n in 0..MESSAGES {
        if n % 10 == 5 {
            tercet.kill().await;
        }
        initiator.sends(&format!("order-{n}"), message(&participant), true).await;
        if n % 10 == 8 {
            tercet.restart().await;
        }
    }
    for n in 0..MESSAGES {
        initiator.becomes(&format!("order-{n}"), Confirmed).await;
    }
    relay.stop().await;
    let mut gids: Vec<String> =
        participant.calls_of("invoice", Op::Confirm).into_iter().map(|call| call.gid).collect();
    gids.sort();
    gids.dedup();
    assert_eq!(gids.len(), MESSAGES);
}
