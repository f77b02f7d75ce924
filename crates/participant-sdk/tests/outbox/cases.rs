//! What becomes of a message.

use std::time::Duration;

use sea_orm::TransactionTrait;
use tercet_participant::NotSent;
use tercet_participant::OutboxState::{Cancelled, Confirmed, Dead, Pending, Sent};

use crate::coordinator::Coordinator;
use crate::database::Database;
use crate::sender::{Sender, message};

const LATER: Duration = Duration::from_secs(120);

/// Keeps P1.
pub(crate) async fn a_message_is_sent_if_its_transaction_commits_and_only_then(
    database: &Database,
) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let relay = sender.relay(&coordinator);
    let given_up = sender.works("given-up").await.expect("it is written");
    given_up.rollback().await.expect("a rollback");
    drop(sender.works("dropped").await.expect("it is written"));
    sender.sends("order-1").await;
    assert!(relay.once().await.expect("a round"), "something was due");
    let begun = coordinator.begun();
    assert_eq!(begun.keys().collect::<Vec<_>>(), ["order-1"]);
    assert!(begun["order-1"].body.contains(r#""payload":{"order":"order-1"}"#), "{begun:?}");
    assert_eq!(sender.state("order-1").await, Sent);
    assert_eq!(sender.orders().await, ["order-1"]);
    assert!(!relay.once().await.expect("a round"), "nothing is due");
    assert_eq!(coordinator.times("order-1"), 1);
}

pub(crate) async fn a_message_is_followed_to_its_end(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let relay = sender.relay(&coordinator);
    for gid in ["goes-through", "is-refused", "goes-on"] {
        sender.sends(gid).await;
    }
    relay.once().await.expect("a round");
    coordinator.ends("goes-through", "confirmed");
    coordinator.ends("is-refused", "cancelled");
    sender.passes(LATER).await;
    relay.once().await.expect("a round");
    assert_eq!(sender.state("goes-through").await, Confirmed);
    assert_eq!(sender.state("is-refused").await, Cancelled);
    assert_eq!(sender.state("goes-on").await, Sent);
    assert!(!relay.once().await.expect("a round"), "it is not asked for at once again");
    coordinator.ends("goes-on", "confirmed");
    sender.passes(LATER).await;
    relay.once().await.expect("a round");
    assert_eq!(sender.state("goes-on").await, Confirmed);
    assert!(coordinator.begun().values().all(|begun| begun.times == 1));
}

pub(crate) async fn a_deed_is_not_sent_twice(database: &Database) {
    let sender = Sender::start(database).await;
    sender.sends("order-1").await;
    match sender.works("order-1").await {
        Err(NotSent::Before(gid)) => assert_eq!(gid.as_str(), "order-1"),
        other => panic!("{other:?}"),
    }
    assert_eq!(sender.orders().await, ["order-1"], "the second one was rolled back");
    let tx = sender.db.begin().await.expect("a transaction");
    let gid = sender.outbox.send(&tx, message("order-2")).await.expect("another deed");
    assert_eq!(gid.as_str(), "order-2");
}

pub(crate) async fn a_message_that_is_refused_is_dead_and_keeps_nobody_up(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let relay = sender.relay(&coordinator).batch(1);
    coordinator.says("poison", Some((400, "invalid-request")));
    for gid in ["poison", "order-1", "order-2"] {
        sender.sends(gid).await;
    }
    for _ in 0..3 {
        relay.once().await.expect("a round");
    }
    let poison = sender.entry("poison").await;
    let reason = "invalid-request: branches[0].confirm: is denied";
    assert_eq!((poison.state, poison.reason.as_deref()), (Dead, Some(reason)));
    assert_eq!(sender.outbox.dead().await.expect("a list"), std::slice::from_ref(&poison));
    assert_eq!((coordinator.times("order-1"), coordinator.times("order-2")), (1, 1));
    sender.passes(LATER).await;
    relay.once().await.expect("a round");
    assert_eq!(sender.state("poison").await, Dead);

    coordinator.says("poison", None);
    assert!(sender.outbox.again(&poison.gid).await.expect("an update"));
    assert!(!sender.outbox.again(&poison.gid).await.expect("an update"), "it is not dead");
    relay.once().await.expect("a round");
    assert_eq!((sender.state("poison").await, coordinator.times("poison")), (Sent, 1));
}

pub(crate) async fn one_message_in_trouble_keeps_nobody_up(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let relay = sender.relay(&coordinator).batch(1);
    coordinator.says("trouble", Some((500, "internal")));
    for gid in ["trouble", "order-1"] {
        sender.sends(gid).await;
    }
    for _ in 0..2 {
        relay.once().await.expect("a round");
    }
    let trouble = sender.entry("trouble").await;
    assert_eq!((trouble.state, trouble.attempts), (Pending, 1));
    assert_eq!(coordinator.times("order-1"), 1);
    coordinator.says("trouble", None);
    sender.passes(LATER).await;
    relay.once().await.expect("a round");
    assert_eq!(coordinator.times("trouble"), 1);
}

/// Keeps P4.
pub(crate) async fn a_coordinator_that_is_away_only_delays(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    coordinator.is_away(Some(503));
    for number in 0..20 {
        sender.sends(&format!("order-{number}")).await;
    }
    let relay = sender.relay(&coordinator).looking_every(Duration::from_millis(20)).spawn();
    // It has asked with some of them, and the others were given back.
    let asked = async || {
        let entries = (0..20).map(|number| format!("order-{number}"));
        for gid in entries {
            if sender.entry(&gid).await.attempts > 1 {
                return true;
            }
        }
        false
    };
    while !asked().await {
        tokio::task::yield_now().await;
    }
    assert_eq!(sender.outbox.pending().await.expect("a count"), 20);
    coordinator.is_away(None);
    while sender.outbox.pending().await.expect("a count") > 0 {
        tokio::task::yield_now().await;
    }
    relay.stop().await;
    assert!(coordinator.begun().values().all(|begun| begun.times == 1));
    assert_eq!(coordinator.begun().len(), 20);
}

pub(crate) async fn what_the_coordinator_forgot_is_not_begun_anew(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let relay = sender.relay(&coordinator);
    sender.sends("order-1").await;
    relay.once().await.expect("a round");
    coordinator.forgets("order-1");
    sender.passes(LATER).await;
    relay.once().await.expect("a round");
    let entry = sender.entry("order-1").await;
    assert_eq!((entry.state, coordinator.times("order-1")), (Dead, 0));
    assert!(entry.reason.is_some_and(|reason| reason.contains("does not know it any more")));
}

/// Keeps P9.
pub(crate) async fn what_ended_is_purged_and_nothing_else(database: &Database) {
    let (sender, coordinator) = (Sender::start(database).await, Coordinator::start().await);
    let relay = sender.relay(&coordinator);
    coordinator.says("poison", Some((400, "invalid-request")));
    for gid in ["poison", "goes-on", "confirmed", "cancelled"] {
        sender.sends(gid).await;
    }
    relay.once().await.expect("a round");
    for gid in ["confirmed", "cancelled"] {
        coordinator.ends(gid, gid.to_owned().leak());
    }
    sender.passes(LATER).await;
    relay.once().await.expect("a round");
    coordinator.is_away(Some(503));
    sender.sends("waits").await;
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    assert_eq!(sender.outbox.purge(week).await.expect("a purge"), 0);
    sender.passes(week + LATER).await;
    assert_eq!(sender.outbox.purge(week).await.expect("a purge"), 2);
    for (gid, state) in [("poison", Dead), ("goes-on", Sent), ("waits", Pending)] {
        assert_eq!(sender.state(gid).await, state, "{gid}");
    }
}
