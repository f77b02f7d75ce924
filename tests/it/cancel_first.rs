//! A cancel that overtakes its begin: the begin that comes late finds the transaction cancelled.

use http::Method;
use serde_json::json;
use tercet_testing::{Participant, Tercet};

use crate::bodies::{begin, begin_open, branch, with};
use crate::expected::{problem, transaction};
use crate::saga_definitions::{definition, put, run};

/// Keeps P2, P3.
#[tokio::test]
async fn a_begin_that_comes_after_its_cancel_does_not_run() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let refuse = "?if_unknown=refuse";
    let client = tercet.client();
    problem(&client.cancel("order-1", "", None).await, "transaction-not-found", Some("order-1"));
    let why = r#"{"reason":"gave up"}"#;
    let recorded = client.cancel("order-1", refuse, Some(why)).await;
    transaction(&recorded, 201, "cancelled");
    assert_eq!((recorded.word("reason"), recorded.word("reason_detail")), ("requested", "gave up"));
    assert_eq!(recorded.field("open"), true);
    assert_eq!(recorded.field("branches").as_array().map(Vec::len), Some(0));
    transaction(&client.cancel("order-1", refuse, None).await, 200, "cancelled");
    transaction(&client.cancel("order-1", "", None).await, 200, "cancelled");

    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    for body in [begin("order-1", &[branch(&participant, "stock")]), begin_open("order-1", &[])] {
        transaction(&client.begin("", &body).await, 200, "cancelled");
    }
    problem(&client.confirm("order-1", "").await, "already-cancelled", Some("order-1"));
    let late = branch(&participant, "late").to_string();
    problem(&client.register("order-1", "", &late).await, "already-cancelled", Some("order-1"));
    assert!(participant.calls().is_empty(), "nobody was called");
    let listed = client.send(Method::GET, "/v1/transactions?status=cancelled", None).await;
    assert_eq!(listed.field("items")[0]["gid"], "order-1");
}

/// Keeps P2.
#[tokio::test]
async fn a_run_that_comes_after_its_cancel_does_not_run_either() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let needs = json!({ "input_schema": { "required": ["a"] } });
    put(&client, "trip", &with(definition(&participant, &["flight"]), needs)).await;
    let refused = client.cancel("run-1", "?if_unknown=refuse", None).await;
    transaction(&refused, 201, "cancelled");
    let fits = r#"{"gid":"run-1","input":{"a":1}}"#;
    for body in [fits, r#"{"gid":"run-1"}"#] {
        transaction(&run(&client, "trip", "", body).await, 200, "cancelled");
    }
    // Nor is it said that nothing of it is begun any more: it was never going to be.
    client.send(Method::DELETE, "/v1/sagas/trip", None).await;
    let late = run(&client, "trip", "", fits).await;
    transaction(&late, 200, "cancelled");
    assert_eq!(late.header("location"), "../../transactions/run-1");
    problem(&run(&client, "trip", "", r#"{"gid":"run-2"}"#).await, "saga-retired", None);
    assert!(participant.calls().is_empty(), "nobody was called");
}

#[tokio::test]
async fn what_is_known_is_cancelled_as_always_and_other_words_are_refused() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    transaction(&client.cancel("order-1", "?if_unknown=refuse", None).await, 200, "cancelled");
    client.begin("", &begin_open("order-2", &[])).await;
    client.confirm("order-2", "").await;
    let late = client.cancel("order-2", "?if_unknown=refuse", None).await;
    problem(&late, "already-confirmed", Some("order-2"));
    for query in ["?if_unknown=ignore", "?if_unknown="] {
        problem(&client.cancel("order-3", query, None).await, "invalid-request", None);
    }
    problem(&client.cancel("order-3", "", None).await, "transaction-not-found", Some("order-3"));
}
