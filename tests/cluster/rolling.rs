//! Nodes that are stopped in order, one after the other, while everybody works.

use tercet_testing::{Client, Participant, Tercet};
use tercet_wire::Op;

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
