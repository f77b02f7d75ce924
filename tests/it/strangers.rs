//! Nobody waits for a stranger: a participant that is slow or dead is felt by its own
//! transactions alone, however many there are.

use tercet_testing::{Gate, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, branch};
use crate::expected::transaction;

const MANY: usize = 40;

/// Room for two calls at a time and three that wait.
const NARROW: [(&str, &str); 2] =
    [("DISPATCHER__PER_DESTINATION_CONCURRENCY", "2"), ("DISPATCHER__PER_DESTINATION_QUEUE", "3")];

#[tokio::test]
async fn what_a_participant_s_queue_cannot_take_is_called_later_and_nothing_is_lost() {
    let (tercet, slow) = (Tercet::start_with(&NARROW).await, Participant::start().await);
    let quick = Participant::start().await;
    let client = tercet.client();
    let gate = Gate::closed();
    slow.always("stock", Op::Try, Reaction::status(200).behind(&gate));
    for n in 0..MANY {
        let body = begin(&format!("slow-{n}"), &[branch(&slow, "stock")]);
        transaction(&client.begin("?wait=accepted", &body).await, 201, "trying");
    }
    slow.called("stock", Op::Try, 2).await;
    for n in 0..5 {
        let body = begin(&format!("quick-{n}"), &[branch(&quick, "stock")]);
        transaction(&client.begin("", &body).await, 201, "confirmed");
    }
    assert_eq!(slow.calls().len(), 2, "as many as may be under way at a time");
    gate.open();
    for n in 0..MANY {
        let ended = client.finished(&format!("slow-{n}")).await;
        transaction(&ended, 200, "confirmed");
        // A call that found no room was not made, so it is no attempt.
        let attempts = &ended.branch("stock")["attempts"];
        assert_eq!((attempts["try"].as_u64(), attempts["confirm"].as_u64()), (Some(1), Some(1)));
    }
    assert_eq!(slow.calls().len(), 2 * MANY);
}

/// Keeps P6.
#[tokio::test]
async fn services_behind_one_gateway_do_not_wait_for_each_other() {
    let (tercet, gateway) = (Tercet::start_with(&NARROW).await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    gateway.always("dead", Op::Try, Reaction::status(200).behind(&gate));
    for n in 0..MANY {
        let body = begin(&format!("dead-{n}"), &[branch(&gateway, "dead")]);
        client.begin("?wait=accepted", &body).await;
    }
    gateway.called("dead", Op::Try, 2).await;
    // The first segment of the path tells the services apart.
    let body = begin("alive", &[branch(&gateway, "alive")]);
    transaction(&client.begin("", &body).await, 201, "confirmed");
    gate.open();
}

#[tokio::test]
async fn a_dead_branch_does_not_keep_the_decision_from_its_siblings() {
    let (tercet, mut dead) = (Tercet::start().await, Participant::start().await);
    let alive = Participant::start().await;
    let client = tercet.client();
    let gate = Gate::closed();
    dead.next("dead", Op::Confirm, [Reaction::status(200).behind(&gate)]);
    let body = begin("order-1", &[branch(&dead, "dead"), branch(&alive, "alive")]);
    transaction(&client.begin("?wait=decided", &body).await, 201, "confirming");
    alive.called("alive", Op::Confirm, 1).await;
    dead.called("dead", Op::Confirm, 1).await;
    dead.stop().await;
    let acknowledging = async || {
        let shown = client.get("order-1").await;
        transaction(&shown, 200, "confirming");
        (shown.branch("alive")["status"] == "confirmed").then_some(shown)
    };
    let shown = eventually("the acknowledgement is shown", acknowledging).await;
    assert_eq!(shown.branch("dead")["status"], "tried", "{}", shown.text);
    dead.restart().await;
    transaction(&client.finished("order-1").await, 200, "confirmed");
    assert_eq!(alive.calls_of("alive", Op::Confirm).len(), 1);
}

#[tokio::test]
async fn a_participant_that_was_restarted_is_reached_although_its_old_connections_are_dead() {
    let (tercet, mut participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = Gate::closed();
    let ids: Vec<String> = (0..10).map(|n| format!("b{n}")).collect();
    for id in &ids {
        participant.next(id, Op::Try, [Reaction::status(200).behind(&gate)]);
    }
    let branches: Vec<_> = ids.iter().map(|id| branch(&participant, id)).collect();
    client.begin("?wait=accepted", &begin("order-1", &branches)).await;
    // All under way at a time, so there are ten connections.
    for id in &ids {
        participant.called(id, Op::Try, 1).await;
    }
    gate.open();
    transaction(&client.finished("order-1").await, 200, "confirmed");
    participant.stop().await;
    participant.restart().await;
    let ended = client.begin("", &begin("order-2", &branches)).await;
    transaction(&ended, 201, "confirmed");
}
