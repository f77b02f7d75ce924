//! A job of one node comes to what others drive, and goes on where its node is killed.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Tercet, eventually};

use crate::database::ServerDatabase;
use crate::nodes::{nodes, until_live};

/// Transactions that each of the nodes drives.
const OF_EACH: usize = 150;

async fn begin_many(client: &Client, prefix: &str) {
    for number in 0..OF_EACH {
        let body = json!({ "gid": format!("tx-{prefix}-{number}"), "open": true,
            "timeout_ms": 3_600_000 });
        let told = client.begin("", &body.to_string()).await;
        assert_eq!(told.status, 201, "{}", told.text);
    }
}

async fn job(client: &Client, id: &str) -> Value {
    client.send(Method::GET, &format!("/v1/jobs/{id}"), None).await.json
}

async fn retried(client: &Client, gid: &str) -> Vec<Value> {
    let events = client.events(gid).await;
    assert_eq!(events.status, 200, "{gid}: {}", events.text);
    let items = events.json["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().filter(|line| line["kind"] == "retried").collect()
}

async fn another_goes_on_with_a_job(database: ServerDatabase) {
    let mut nodes: [Tercet; 3] = nodes(&database, &[("JOBS__PER_SECOND", "50")]).await;
    let clients = [nodes[0].client(), nodes[1].client(), nodes[2].client()];
    until_live(&clients[1], 3).await;
    for (client, prefix) in clients.iter().zip(["a", "b", "c"]) {
        begin_many(client, prefix).await;
    }
    let body = json!({ "action": "retry", "filter": { "gid_prefix": "tx-" }, "note": "n",
        "dry_run": false });
    let told = clients[0].send(Method::POST, "/v1/jobs", Some(&body.to_string())).await;
    assert_eq!(told.status, 202, "{}", told.text);
    let id = told.word("id").to_owned();
    // Any node tells how far it is.
    let some = async || {
        let job = job(&clients[1], &id).await;
        (job["done"].as_u64() >= Some(100)).then_some(job)
    };
    let seen = eventually("it has come to some", some).await;
    assert!(seen["done"].as_u64() < Some(400), "it is at work: {seen}");
    nodes[0].kill().await;
    let done = async || {
        let job = job(&clients[1], &id).await;
        (job["state"] == "done").then_some(job)
    };
    let done = eventually("another node goes on with it", done).await;
    let all = json!(3 * OF_EACH);
    assert_eq!((&done["matched"], &done["done"]), (&all, &all), "{done}");
    assert_eq!((&done["failed_total"], &done["failed"]), (&json!(0), &json!([])), "{done}");
    for prefix in ["a", "b", "c"] {
        for number in 0..OF_EACH {
            let gid = format!("tx-{prefix}-{number}");
            let lines = retried(&clients[1], &gid).await;
            assert_eq!(lines.len(), 1, "{gid}: {lines:?}");
            assert_eq!(lines[0]["detail"], format!("by 127.0.0.1 (act {id}): n"), "{gid}");
        }
    }
}

/// Keeps exactly-once.
#[tokio::test]
async fn another_node_goes_on_with_a_job_postgres() {
    another_goes_on_with_a_job(ServerDatabase::on_postgres().await).await;
}

/// Keeps exactly-once.
#[tokio::test]
async fn another_node_goes_on_with_a_job_mariadb() {
    another_goes_on_with_a_job(ServerDatabase::on_mariadb().await).await;
}
