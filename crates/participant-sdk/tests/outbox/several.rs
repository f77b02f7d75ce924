//! More than one relay, and others on the same table.

use std::sync::Arc;
use std::time::Duration;

use tercet_participant::Outbox;
use tercet_participant::OutboxState::Confirmed;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::coordinator::Coordinator;
use crate::database::Database;
use crate::sender::Sender;

/// Keeps P2.
pub(crate) async fn several_relays_hand_each_message_over_once(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let mut relays = Vec::new();
    for _ in 0..4 {
        let relay = Sender::start(database).await.relay(&coordinator).batch(7);
        relays.push(relay.looking_every(Duration::from_millis(10)).spawn());
    }
    for number in 0..150 {
        sender.sends(&format!("order-{number}")).await;
    }
    while sender.outbox.pending().await.expect("a count") > 0 {
        tokio::task::yield_now().await;
    }
    for relay in relays {
        relay.stop().await;
    }
    let begun = coordinator.begun();
    assert_eq!(begun.len(), 150);
    let twice: Vec<_> = begun.iter().filter(|(_, begun)| begun.times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// Keeps P6.
pub(crate) async fn a_transaction_that_is_open_keeps_no_relay_waiting(database: &Database) {
    // SQLite has one writer: there everybody waits for whoever is writing.
    if database.has_one_writer() {
        return;
    }
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let relay = sender.relay(&coordinator);
    let open = sender.works("open").await.expect("it is written");
    sender.sends("order-1").await;
    let round = tokio::time::timeout(Duration::from_secs(60), relay.once());
    assert!(round.await.expect("it waits for nobody").expect("a round"));
    assert_eq!((coordinator.times("order-1"), coordinator.times("open")), (1, 0));
    open.commit().await.expect("a commit");
    relay.once().await.expect("a round");
    assert_eq!(coordinator.times("open"), 1);
}

/// Keeps P8.
pub(crate) async fn who_has_lost_its_lease_writes_nothing(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    sender.sends("order-1").await;
    let gate = coordinator.holds_the_next();
    let slow = sender.relay(&coordinator).lease(Duration::from_secs(3_600));
    let slow = tokio::spawn(async move { slow.once().await });
    coordinator.next_begin().await;
    // Its lease runs out while it waits, by the database's clock; another one does all of it.
    sender.passes(Duration::from_secs(7_200)).await;
    let next = sender.relay(&coordinator);
    next.once().await.expect("a round");
    coordinator.ends("order-1", "confirmed");
    sender.passes(Duration::from_secs(120)).await;
    next.once().await.expect("a round");
    assert_eq!(sender.state("order-1").await, Confirmed);
    gate.notify_one();
    slow.await.expect("no panic").expect("a round");
    assert_eq!(sender.state("order-1").await, Confirmed, "it was moved back");
}

pub(crate) async fn several_processes_may_make_the_table_at_once(database: &Database) {
    let mut starts = JoinSet::new();
    let ready = Arc::new(Barrier::new(8));
    for _ in 0..8 {
        let (db, ready) = (database.connect(1).await, Arc::clone(&ready));
        starts.spawn(async move {
            ready.wait().await;
            Outbox::new(db).migrate().await
        });
    }
    for started in starts.join_all().await {
        started.expect("nobody is in another's way");
    }
}
