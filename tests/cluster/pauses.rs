//! A participant that is paused at one node is called by none.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Response, Tercet};

use crate::bodies::{begin, branch};
use crate::database::ServerDatabase;
use crate::nodes::{nodes, until_live};

async fn say(client: &Client, at: &Participant, way: &str) -> Response {
    let path = format!("/v1/participants/{}/{way}", at.host_port());
    client.send(Method::POST, &path, Some("{\"note\":\"why\"}")).await
}

async fn paused(client: &Client, at: &Participant) -> Value {
    let all = client.send(Method::GET, "/v1/participants", None).await;
    let items = all.json["items"].as_array().cloned().unwrap_or_default();
    let found = items.into_iter().find(|item| item["participant"] == at.host_port());
    found.map(|item| item["paused"].clone()).unwrap_or_default()
}

/// Keeps P4.
async fn called_by_none(database: ServerDatabase) {
    let participant = Participant::start().await;
    let [first, mut second]: [Tercet; 2] = nodes(&database, &[]).await;
    for node in [&first, &second] {
        until_live(&node.client(), 2).await;
    }
    let answer = say(&first.client(), &participant, "pause").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    // It was told before that was answered.
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let begun = second.client().begin("?wait=accepted", &body).await;
    assert_eq!(begun.word("status"), "trying", "{}", begun.text);
    assert_eq!(paused(&second.client(), &participant).await["note"], json!("why"));
    // Nor by a life that begins meanwhile.
    second.terminate().await;
    second.restart().await;
    until_live(&second.client(), 2).await;
    assert_eq!(paused(&second.client(), &participant).await["note"], json!("why"));
    assert_eq!(participant.calls().len(), 0);
    let answer = say(&second.client(), &participant, "resume").await;
    assert_eq!((answer.status, answer.field("paused")), (200, &Value::Null), "{}", answer.text);
    let ended = crate::nodes::finished(&[first.client(), second.client()], "order-1").await;
    assert_eq!(ended["status"], "confirmed", "{ended}");
}

#[tokio::test]
async fn a_paused_participant_is_called_by_no_node_postgres() {
    called_by_none(ServerDatabase::on_postgres().await).await;
}

#[tokio::test]
async fn a_paused_participant_is_called_by_no_node_mariadb() {
    called_by_none(ServerDatabase::on_mariadb().await).await;
}
