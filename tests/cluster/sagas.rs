//! Definitions of sagas are known to every node at once, and a run is whoever's who drives its gid.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet};
use tercet_wire::Op;

use crate::database::ServerDatabase;
use crate::nodes::nodes;

/// A lease that no test waits for.
const NEVER: [(&str, &str); 1] = [("CLUSTER__LEASE_MS", "600000")];

fn definition(at: &Participant, step: &str, timeout_ms: u64) -> Value {
    let url = at.url(&format!("/{step}"));
    json!({ "timeout_ms": timeout_ms, "steps": [{ "id": step, "action": url, "timeout_ms": 25_000 }] })
}

async fn put(client: &Client, document: &Value) -> Response {
    client.send(Method::PUT, "/v1/sagas/trip", Some(&document.to_string())).await
}

async fn run(client: &Client, query: &str, body: &str) -> Response {
    client.send(Method::POST, &format!("/v1/sagas/trip/runs{query}"), Some(body)).await
}

async fn known_to_all_at_once(database: ServerDatabase) {
    let participant = Participant::start().await;
    let nodes: [Tercet; 2] = nodes(&database, &NEVER).await;
    let [first, second] = [nodes[0].client(), nodes[1].client()];
    // Both put at once, again and again: no version is made twice, and none is lost.
    let mut versions = Vec::new();
    for n in 0..12 {
        let (one, other) = (
            definition(&participant, "flight", 60_000 + n),
            definition(&participant, "flight", 70_000 + n),
        );
        let (one, other) = tokio::join!(put(&first, &one), put(&second, &other));
        for (told, asked) in [(one, &second), (other, &first)] {
            assert_eq!(told.status, 201, "{}", told.text);
            versions.push(told.field("version").as_u64().expect("a version"));
            let path = format!("/v1/sagas/trip?version={}", told.field("version"));
            let shown = asked.send(Method::GET, &path, None).await;
            assert_eq!(shown.json, told.json, "the other node has it at once");
        }
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=24).collect::<Vec<u64>>());
    // A run that the one drives, repeated at the other after a change and a retirement.
    let gate = Gate::closed();
    participant.next("flight", Op::Try, [Reaction::status(200).behind(&gate)]);
    let body = r#"{"gid":"t-1","input":{"a":1}}"#;
    let begun = run(&first, "?wait=accepted", body).await;
    assert_eq!((begun.status, begun.field("saga")["version"].as_u64()), (201, Some(24)));
    participant.called("flight", Op::Try, 1).await;
    assert_eq!(put(&second, &definition(&participant, "hotel", 60_000)).await.status, 201);
    let retired = first.send(Method::DELETE, "/v1/sagas/trip", None).await;
    assert_eq!(retired.status, 204, "{}", retired.text);
    for client in [&second, &first] {
        let repeat = run(client, "?wait=accepted", body).await;
        assert_eq!((repeat.status, repeat.word("status")), (200, "trying"), "{}", repeat.text);
        assert_eq!(repeat.field("saga"), &json!({ "name": "trip", "version": 24 }));
        let other = run(client, "", r#"{"gid":"t-1","input":{"a":2}}"#).await;
        assert_eq!((other.status, other.word("code")), (409, "gid-reused"), "{}", other.text);
        let fresh = run(client, "", "{}").await;
        assert_eq!((fresh.status, fresh.word("code")), (409, "saga-retired"), "{}", fresh.text);
    }
    gate.open();
    let repeat = run(&second, "", body).await;
    assert_eq!((repeat.status, repeat.word("status")), (200, "confirmed"), "{}", repeat.text);
    assert_eq!(participant.calls_of("flight", Op::Try).len(), 1);
    assert_eq!(participant.calls_of("hotel", Op::Try).len(), 0);
}

#[tokio::test]
async fn a_definition_is_known_to_all_nodes_at_once_postgres() {
    known_to_all_at_once(ServerDatabase::on_postgres().await).await;
}

#[tokio::test]
async fn a_definition_is_known_to_all_nodes_at_once_mariadb() {
    known_to_all_at_once(ServerDatabase::on_mariadb().await).await;
}
