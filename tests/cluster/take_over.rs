//! Nodes that die, freeze and come back.

use tercet_testing::{Client, Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::database::ServerDatabase;
use crate::load::Load;
use crate::nodes::{finished, nodes, until_live};

fn clients(nodes: &[Tercet]) -> Vec<Client> {
    nodes.iter().map(Tercet::client).collect()
}

async fn killed_under_load(database: ServerDatabase) {
    let participant = Participant::start().await;
    let mut nodes: [Tercet; 3] = nodes(&database, &[]).await;
    let all = clients(&nodes);
    until_live(&all[0], 3).await;
    // Some that are in the middle of everything when it happens.
    let never = Gate::closed();
    for (gid, op) in [("tried", Op::Try), ("confirmed", Op::Confirm)] {
        participant.next(gid, op, [Reaction::status(200).behind(&never)]);
        all[0].begin("?wait=accepted", &begin(gid, &[branch(&participant, gid)])).await;
        participant.called(gid, op, 1).await;
    }
    let load = Load::start(&all, &participant, 6, 20);
    participant.called("order-0-3", Op::Try, 1).await;
    nodes[0].kill().await;
    load.ends(&all[1..], &participant).await;
    for gid in ["tried", "confirmed"] {
        assert_eq!(finished(&all[1..], gid).await["status"], "confirmed", "{gid}");
    }
    until_live(&all[1], 2).await;
}

/// Keeps P2, P4, P5, P8.
#[tokio::test]
async fn what_a_killed_node_drove_the_others_finish_postgres() {
    killed_under_load(ServerDatabase::on_postgres().await).await;
}

/// Keeps P2, P4, P5, P8.
#[tokio::test]
async fn what_a_killed_node_drove_the_others_finish_mariadb() {
    killed_under_load(ServerDatabase::on_mariadb().await).await;
}

/// Keeps P4, P8.
#[tokio::test]
async fn a_frozen_node_wakes_fenced_and_joins_again() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    let nodes: [Tercet; 2] = nodes(&database, &[]).await;
    let [frozen, other] = &nodes;
    let never = Gate::closed();
    participant.next("one", Op::Confirm, [Reaction::status(200).behind(&never)]);
    let body = begin("one", &[branch(&participant, "one")]);
    frozen.client().begin("?wait=decided", &body).await;
    participant.called("one", Op::Confirm, 1).await;
    frozen.client().begin("", &begin_open("open", &[])).await;
    frozen.signal("STOP").await;
    let of_other = [other.client()];
    assert_eq!(finished(&of_other, "one").await["status"], "confirmed");
    other.logged("event=\"take_over_ended\"").await;
    frozen.signal("CONT").await;
    frozen.logged("event=\"joined_again\"").await;
    until_live(&other.client(), 2).await;
    // What it drove the other drives, and answers; what is new it takes.
    let told = frozen.client().confirm("open", "").await;
    assert_eq!((told.status, told.word("status")), (200, "confirmed"), "{}", told.text);
    let body = begin("two", &[branch(&participant, "two")]);
    let begun = frozen.client().begin("", &body).await;
    assert_eq!((begun.status, begun.word("status")), (201, "confirmed"), "{}", begun.text);
}

/// Keeps P4, P5.
#[tokio::test]
async fn a_node_alone_takes_up_what_it_drove_before_it_was_killed() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    // A lease that no test waits for.
    let settings = [("CLUSTER__LEASE_MS", "600000")];
    let [mut node] = nodes(&database, &settings).await;
    let never = Gate::closed();
    for (gid, op) in [("tried", Op::Try), ("confirmed", Op::Confirm)] {
        participant.next(gid, op, [Reaction::status(200).behind(&never)]);
        node.client().begin("?wait=accepted", &begin(gid, &[branch(&participant, gid)])).await;
        participant.called(gid, op, 1).await;
    }
    node.kill().await;
    node.restart().await;
    for gid in ["tried", "confirmed"] {
        assert_eq!(finished(&[node.client()], gid).await["status"], "confirmed", "{gid}");
    }
}
