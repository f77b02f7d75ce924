//! Connections to the database that are lost around COMMIT, while everybody works.

use tercet_testing::{Client, Participant, Tercet};
use tercet_wire::Op;

use crate::cutter::Cutter;
use crate::database::ServerDatabase;
use crate::load::Load;
use crate::nodes::until_live;

const INITIATORS: usize = 6;
const EACH: usize = 20;

/// A lease that no test waits for: nobody takes over, so every call is made once or something was
/// written twice.
const NEVER: [(&str, &str); 1] = [("CLUSTER__LEASE_MS", "600000")];

async fn cut_around_commit(database: ServerDatabase) {
    let participant = Participant::start().await;
    let (cutter, through) = Cutter::before(&database.url()).await;
    let nodes = [
        Tercet::start_on_server(&through, &NEVER).await,
        Tercet::start_on_server(&database.url(), &NEVER).await,
    ];
    let all: Vec<Client> = nodes.iter().map(Tercet::client).collect();
    for client in &all {
        until_live(client, 2).await;
    }
    let load = Load::start(&all, &participant, INITIATORS, EACH);
    load.ends(&all, &participant).await;
    let [before, after] = cutter.cut();
    // Where the machine is busy all that is begun goes by some sixteen commits.
    assert!(
        before >= 2 && after >= 2,
        "so few commits were cut that nothing is proved: {cutter:?}"
    );
    for initiator in 0..INITIATORS {
        for number in 0..EACH {
            let gid = format!("order-{initiator}-{number}");
            let calls = Op::ALL.map(|op| participant.calls_of(&gid, op).len());
            assert_eq!(calls, [1, 1, 0], "{gid}: {cutter:?}");
        }
    }
    // As the rows have it, whoever is asked.
    for client in &all {
        let stats = client.send(http::Method::GET, "/v1/stats", None).await;
        let by_status = serde_json::json!({
            "trying": 0, "confirming": 0, "cancelling": 0, "cancelled": 0,
            "confirmed": INITIATORS * EACH,
        });
        assert_eq!(stats.json["by_status"], by_status, "{}", stats.text);
        assert_eq!(stats.json["quarantined"], 0, "{}", stats.text);
    }
    for node in &nodes {
        for alarm in ["event=\"node_fenced\"", "event=\"joined_again\""] {
            assert!(!node.log().contains(alarm), "{alarm}: {cutter:?}");
        }
    }
}

/// Keeps P1, P3, exactly-once.
#[tokio::test]
async fn commits_cut_off_on_either_side_are_written_once_postgres() {
    cut_around_commit(ServerDatabase::on_postgres().await).await;
}

/// Keeps P1, P3, exactly-once.
#[tokio::test]
async fn commits_cut_off_on_either_side_are_written_once_mariadb() {
    cut_around_commit(ServerDatabase::on_mariadb().await).await;
}
