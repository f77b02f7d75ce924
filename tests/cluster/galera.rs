//! Two nodes on a Galera cluster of MariaDB, each at a database node of its own. `tests/galera` starts
//! the cluster; nothing else does, so these are run by `make galera` alone.

use tercet_testing::{Client, Participant, Tercet, soon};
use tercet_wire::Op;
use tokio::task::JoinSet;

use crate::bodies::{begin, branch};
use crate::database::ServerDatabase;
use crate::load::Load;
use crate::nodes::{finished, until_live};

/// Gids that are begun at both nodes at the same moment, and how many of them at a time.
const GIDS: usize = 400;
const AT_A_TIME: usize = 16;

/// The nodes, each at its own end of the database.
async fn nodes(database: &ServerDatabase) -> [Tercet; 2] {
    let nodes = [
        Tercet::start_on_server(&database.url(), &[]).await,
        Tercet::start_on_server(&database.url_at("TERCET_TEST_MYSQL_SECOND_URL"), &[]).await,
    ];
    for node in &nodes {
        until_live(&node.client(), 2).await;
    }
    nodes
}

/// What one of both batches loses at its COMMIT nobody hears of.
///
/// Keeps P1, P4.
#[tokio::test]
#[ignore = "needs two database nodes: make galera"]
async fn galera_what_is_begun_at_both_ends_at_once_is_one_transaction() {
    let database = ServerDatabase::on_mariadb().await;
    let (participant, nodes) = (Participant::start().await, nodes(&database).await);
    let gids: Vec<String> = (0..GIDS).map(|number| format!("order-{number}")).collect();
    for some in gids.chunks(AT_A_TIME) {
        let mut asked = JoinSet::new();
        for gid in some {
            let body = begin(gid, &[branch(&participant, gid)]);
            for node in &nodes {
                let (client, body) = (node.client(), body.clone());
                asked.spawn(async move { client.begin("?wait_ms=60000", &body).await });
            }
        }
        for told in soon("all are answered", asked.join_all()).await {
            assert_eq!((told.status / 100, told.word("status")), (2, "confirmed"), "{}", told.text);
        }
    }
    let all: Vec<Client> = nodes.iter().map(Tercet::client).collect();
    for gid in &gids {
        let told = [finished(&all[..1], gid).await, finished(&all[1..], gid).await];
        assert_eq!(told[0]["instance"], told[1]["instance"], "two lives of {gid}");
        let calls = Op::ALL.map(|op| participant.calls_of(gid, op).len());
        assert_eq!(calls, [1, 1, 0], "{gid}");
    }
    for node in &nodes {
        for alarm in ["event=\"journal_unavailable\"", "event=\"node_fenced\""] {
            assert!(!node.log().contains(alarm), "{alarm}: {}", node.log());
        }
    }
}

/// Keeps P2, P4, P5, P8.
#[tokio::test]
#[ignore = "needs two database nodes: make galera"]
async fn galera_what_a_killed_node_drove_is_finished_by_the_one_at_the_other_end() {
    let database = ServerDatabase::on_mariadb().await;
    let (participant, mut nodes) = (Participant::start().await, nodes(&database).await);
    let all: Vec<Client> = nodes.iter().map(Tercet::client).collect();
    let load = Load::start(&all, &participant, 6, 20);
    participant.called("order-0-3", Op::Try, 1).await;
    nodes[0].kill().await;
    load.ends(&all[1..], &participant).await;
    until_live(&all[1], 1).await;
}
