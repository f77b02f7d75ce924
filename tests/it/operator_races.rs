//! An operator's word against everything that can come between.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Response, Tercet, soon};
use tercet_wire::Op;
use tokio::task::JoinHandle;

use crate::bodies::{begin, branch};
use crate::expected::{problem, transaction};
use crate::operator::resolve;

/// Begins `order-1`, and holds the Confirm of its only branch behind a gate.
async fn held(client: &Client, participant: &Participant, then: u16) -> Gate {
    let gate = Gate::closed();
    participant.next("stock", Op::Confirm, [Reaction::status(then).behind(&gate)]);
    client.begin("?wait=decided", &begin("order-1", &[branch(participant, "stock")])).await;
    participant.called("stock", Op::Confirm, 1).await;
    gate
}

/// Asks in the background, patiently.
fn asking(client: &Client, word: Value) -> JoinHandle<Response> {
    let client = client.clone();
    let body = word.to_string();
    tokio::spawn(async move {
        let path = "/v1/transactions/order-1/branches/stock/resolve?wait_ms=20000";
        client.send(Method::POST, path, Some(&body)).await
    })
}

/// What is told of a word while the call is under way: it did not happen yet.
async fn heard(client: &Client, word: &Value) {
    let path = "/v1/transactions/order-1/branches/stock/resolve?wait_ms=0";
    let answer = client.send(Method::POST, path, Some(&word.to_string())).await;
    transaction(&answer, 202, "confirming");
    assert_eq!(answer.branch("stock")["resolved_as"], Value::Null, "{}", answer.text);
}

/// Keeps P7.
#[tokio::test]
async fn an_acknowledgement_that_comes_first_wins_and_the_operator_is_told() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = held(&client, &participant, 200).await;
    let word = json!({ "as": "cancelled", "note": "given up" });
    heard(&client, &word).await;
    let operator = asking(&client, word);
    gate.open();
    let answer = soon("the operator is answered", operator).await.expect("no panic");
    problem(&answer, "already-finished", Some("order-1"));
    let ended = client.finished("order-1").await;
    transaction(&ended, 200, "confirmed");
    assert_eq!(ended.branch("stock")["resolved_as"], Value::Null);
    assert_eq!(ended.field("mixed"), &Value::Null);
    let history = client.events("order-1").await;
    assert!(!history.text.contains("\"resolved\""), "{}", history.text);
}

#[tokio::test]
async fn a_word_takes_effect_when_the_call_under_way_has_failed_and_no_other_call_is_made() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = held(&client, &participant, 503).await;
    let word = json!({ "as": "confirmed" });
    heard(&client, &word).await;
    let retried = client.send(Method::POST, "/v1/transactions/order-1/retry", None).await;
    assert_eq!(retried.status, 200, "{}", retried.text);
    gate.open();
    let ended = client.finished("order-1").await;
    transaction(&ended, 200, "confirmed");
    assert_eq!(ended.branch("stock")["resolved_as"], "confirmed");
    assert_eq!(participant.calls_of("stock", Op::Confirm).len(), 1);
}

#[tokio::test]
async fn an_operator_waits_for_the_call_under_way_and_is_told_what_came_of_the_word() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("stock", Op::Confirm, Reaction::status(503));
    let gate = held(&client, &participant, 503).await;
    let operator = asking(&client, json!({ "as": "confirmed" }));
    gate.open();
    let answer = soon("the operator is answered", operator).await.expect("no panic");
    transaction(&answer, 200, "confirmed");
    assert_eq!(answer.branch("stock")["resolved_as"], "confirmed");
}

#[tokio::test]
async fn of_two_operators_who_disagree_one_is_heard_and_the_other_told() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let gate = held(&client, &participant, 503).await;
    let first = json!({ "as": "confirmed" });
    heard(&client, &first).await;
    // The other is told at once, however soon it wants to be; the same once more is no other.
    let path = "/v1/transactions/order-1/branches/stock/resolve?wait_ms=0";
    let other = client.send(Method::POST, path, Some(r#"{"as":"cancelled"}"#)).await;
    problem(&other, "already-finished", Some("order-1"));
    assert!(other.word("detail").contains("is about to end as confirmed"), "{}", other.text);
    heard(&client, &first).await;
    gate.open();
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let late = resolve(&client, "order-1", "stock", &first).await;
    problem(&late, "already-finished", Some("order-1"));
    let audit = client.send(Method::GET, "/v1/audit", None).await;
    assert_eq!(audit.json["items"].as_array().map(Vec::len), Some(1), "{}", audit.text);
    assert_eq!(client.get("order-1").await.branch("stock")["resolved_as"], "confirmed");
}

/// Keeps P7.
#[tokio::test]
async fn a_restart_goes_on_with_a_word_that_waits_for_a_call() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let _gate = held(&tercet.client(), &participant, 200).await;
    heard(&tercet.client(), &json!({ "as": "cancelled", "note": "ticket 1" })).await;
    let shown = tercet.client().get("order-1").await;
    let word = &shown.branch("stock")["pending_resolution"];
    assert_eq!((&word["as"], &word["note"]), (&json!("cancelled"), &json!("ticket 1")));
    assert!(word["by"].is_string() && word["at"].is_string(), "{word}");
    tercet.kill().await;
    tercet.restart().await;
    let ended = tercet.client().finished("order-1").await;
    transaction(&ended, 200, "confirmed");
    assert_eq!(ended.branch("stock")["resolved_as"], "cancelled");
    assert_eq!(ended.branch("stock")["pending_resolution"], Value::Null);
    assert_eq!(participant.calls_of("stock", Op::Confirm).len(), 1, "it is not called again");
}

/// Keeps P7.
#[tokio::test]
async fn a_word_takes_effect_although_the_call_hangs_and_what_that_says_late_is_shown() {
    for (code, mixed) in [(200, Value::Null), (410, json!(true))] {
        let (tercet, participant) = (Tercet::start().await, Participant::start().await);
        let client = tercet.client();
        let gate = held(&client, &participant, code).await;
        let word = json!({ "as": "confirmed" });
        let answer = resolve(&client, "order-1", "stock", &word).await;
        transaction(&answer, 200, "confirmed");
        gate.open();
        if code == 410 {
            client.event("order-1", "contradicted").await;
            let events = client.events("order-1").await;
            let lines = events.json["items"].as_array().expect("lines");
            let kinds: Vec<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
            let expected = ["begun", "decided", "resolved", "finished", "contradicted"];
            assert_eq!(kinds, expected, "by what led to what");
        }
        let shown = client.get("order-1").await;
        assert_eq!(shown.field("mixed"), &mixed, "{code}: {}", shown.text);
        let listed = client.send(Method::GET, "/v1/transactions", None).await;
        assert_eq!(listed.json["items"][0]["mixed"], mixed, "{code}: {}", listed.text);
    }
}

/// Keeps P7.
#[tokio::test]
async fn a_word_that_was_told_outlives_a_crash_although_the_rest_is_not_done() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("stock", Op::Confirm, Reaction::status(410));
    let held = Gate::closed();
    participant.next("slow", Op::Confirm, [Reaction::status(200).behind(&held)]);
    let body = begin("order-1", &[branch(&participant, "stock"), branch(&participant, "slow")]);
    tercet.client().begin("?wait=decided", &body).await;
    participant.called("slow", Op::Confirm, 1).await;
    participant.called("stock", Op::Confirm, 1).await;
    let word = json!({ "as": "cancelled", "note": "their reservation is gone" });
    let answer = resolve(&tercet.client(), "order-1", "stock", &word).await;
    transaction(&answer, 200, "confirming");
    tercet.kill().await;
    let calls = participant.calls_of("stock", Op::Confirm).len();
    tercet.restart().await;
    // The other one is called again, and ends it.
    let ended = tercet.client().finished("order-1").await;
    transaction(&ended, 200, "confirmed");
    assert_eq!(ended.field("mixed"), true);
    assert_eq!(ended.branch("stock")["status"], "cancelled");
    assert_eq!(participant.calls_of("stock", Op::Confirm).len(), calls);
    held.open();
}
