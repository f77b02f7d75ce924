//! Nodes that are stopped in order, one after the other, while everybody works.

use tercet_testing::{Client, Participant, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, branch};
use crate::database::ServerDatabase;
use crate::load::Load;
use crate::nodes::{nodes, until_live};

/// Keeps P2, P4, P7.
#[tokio::test]
async fn a_rolling_restart_loses_nothing_and_waits_for_no_lease() {
    let (database, participant) = (ServerDatabase::on_postgres().await, Participant::start().await);
    // A lease that no test waits for: what is taken over here was left.
    let settings = [("CLUSTER__LEASE_MS", "600000")];
    let mut nodes: [Tercet; 3] = nodes(&database, &settings).await;
    let all: Vec<Client> = nodes.iter().map(Tercet::client).collect();
    let load = Load::start(&all, &participant, 6, 20);
    participant.called("order-0-2", Op::Try, 1).await;
    for node in &mut nodes {
        assert_eq!(node.terminate().await.code(), Some(0));
        node.restart().await;
        until_live(&node.client(), 3).await;
    }
    load.ends(&all, &participant).await;
    for node in &nodes {
        for alarm in ["ERROR", "event=\"node_suspected\""] {
            assert!(!node.log().contains(alarm), "{}", node.log());
        }
    }
}

async fn upgraded_one_after_the_other(database: ServerDatabase) {
    let participant = Participant::start().await;
    let settings = [("CLUSTER__LEASE_MS", "5000"), ("DATABASE__CAN_GO_BACK", "true")];
    let mut nodes: [Tercet; 3] = nodes(&database, &settings).await;
    let all: Vec<Client> = nodes.iter().map(Tercet::client).collect();
    let load = Load::start(&all, &participant, 6, 20);
    participant.called("order-0-2", Op::Try, 1).await;
    for node in &mut nodes {
        // What it drove stays with it until its lease is over, and is then driven by one that writes otherwise.
        node.kill().await;
        node.set("DATABASE__CAN_GO_BACK", "false");
        node.restart().await;
        until_live(&node.client(), 3).await;
    }
    let last = begin("order-last", &[branch(&participant, "order-last")]);
    assert_eq!(nodes[0].client().begin("?wait=accepted", &last).await.status, 201);
    load.ends(&all, &participant).await;
    for instances in ["NOT LIKE", "LIKE"] {
        let sql =
            format!("SELECT COUNT(*) FROM global_transactions WHERE instance {instances} '~%'");
        assert!(database.ask(&sql).await > 0, "{instances}");
    }
}

/// Keeps P2, P4, P5.
#[tokio::test]
async fn killed_and_upgraded_under_load_nothing_is_lost_postgres() {
    upgraded_one_after_the_other(ServerDatabase::on_postgres().await).await;
}

/// Keeps P2, P4, P5.
#[tokio::test]
async fn killed_and_upgraded_under_load_nothing_is_lost_mariadb() {
    upgraded_one_after_the_other(ServerDatabase::on_mariadb().await).await;
}
