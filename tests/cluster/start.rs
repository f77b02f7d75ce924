//! Many nodes that are started at once, as an orchestrator starts them.

use std::collections::BTreeSet;

use tercet_testing::{Client, Participant, Tercet};
use tokio::task::JoinSet;

use crate::bodies::{begin, branch};
use crate::database::ServerDatabase;
use crate::nodes::{finished, until_live};

const NODES: usize = 8;

async fn all_at_once(database: ServerDatabase) {
    let participant = Participant::start().await;
    let mut starting = JoinSet::new();
    for _ in 0..NODES {
        let url = database.url();
        // A lease that no test waits for: a busy machine is slow to start so many.
        let settings = [("CLUSTER__LEASE_MS", "600000")];
        starting.spawn(async move { Tercet::start_on_server(&url, &settings).await });
    }
    let nodes = starting.join_all().await;
    let all: Vec<Client> = nodes.iter().map(Tercet::client).collect();
    for client in &all {
        until_live(client, NODES).await;
    }
    // One life each, and none that was taken for dead meanwhile.
    let stats = all[0].send(http::Method::GET, "/v1/stats", None).await;
    let rows = stats.json["nodes"].as_array().expect("nodes");
    let distinct =
        |what: &str| rows.iter().map(|row| row[what].to_string()).collect::<BTreeSet<_>>();
    assert_eq!((rows.len(), distinct("id").len(), distinct("url").len()), (NODES, NODES, NODES));
    assert!(rows.iter().all(|row| row["state"] == "live"), "{}", stats.text);
    // The schema's steps were made by one of them, each once, and all of them.
    let steps = database.ask("SELECT COUNT(*) FROM schema_steps").await;
    let distinct = database.ask("SELECT COUNT(DISTINCT version) FROM schema_steps").await;
    assert!(steps > 0 && steps == distinct, "{distinct} steps are there {steps} times");
    assert_eq!(database.ask("SELECT COUNT(*) FROM schema_compat").await, 1);
    let (status, _, said) = nodes[0].run(&["migrate", "status"]).await;
    assert!(status.success(), "{said}");
    for node in &nodes {
        assert!(!node.log().contains("ERROR"), "{}", node.log());
    }
    // Each of them takes what comes, and knows what another has taken.
    for (place, client) in all.iter().enumerate() {
        let gid = format!("order-{place}");
        let body = begin(&gid, &[branch(&participant, &gid)]);
        let begun = client.begin("?wait=accepted", &body).await;
        assert_eq!(begun.status, 201, "{gid}: {}", begun.text);
        let next = &all[(place + 1) % NODES..][..1];
        assert_eq!(finished(next, &gid).await["status"], "confirmed", "{gid}");
    }
}

/// Keeps P5.
#[tokio::test]
async fn eight_nodes_started_at_once_on_an_empty_database_postgres() {
    all_at_once(ServerDatabase::on_postgres().await).await;
}

/// Keeps P5.
#[tokio::test]
async fn eight_nodes_started_at_once_on_an_empty_database_mariadb() {
    all_at_once(ServerDatabase::on_mariadb().await).await;
}
