//! What operators do about transactions that do not get on.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Participant, Reaction, Response, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::{problem, transaction};

/// Asks for a branch to be resolved.
pub(crate) async fn resolve(client: &Client, gid: &str, id: &str, body: &Value) -> Response {
    let path = format!("/v1/transactions/{gid}/branches/{id}/resolve");
    client.send(Method::POST, &path, Some(&body.to_string())).await
}

async fn retry(client: &Client, gid: &str) -> Response {
    client.send(Method::POST, &format!("/v1/transactions/{gid}/retry"), None).await
}

/// A participant that says "in progress, ask in a minute" to every Confirm of `slow`, until
/// told otherwise: what waits for it waits for a known time.
pub(crate) fn in_a_minute() -> Reaction {
    Reaction::status(202).header("retry-after", "60")
}

/// Waits until branch `slow` waits for its next call. While its answer is on its way, a retry
/// would find a call under way and make none.
pub(crate) async fn waits(client: &Client, gid: &str) {
    let waits = async || {
        let shown = client.get(gid).await;
        shown.branch("slow")["next_attempt_at"].is_string().then_some(())
    };
    eventually(&format!("{gid} waits for its next call"), waits).await;
}

/// Begins `gid` with branches `quick` and `stuck`, and waits until `stuck`, whose Confirms are
/// answered 404, is parked.
async fn parked(client: &Client, participant: &Participant, gid: &str) {
    participant.always("stuck", Op::Confirm, Reaction::status(404));
    let body = begin(gid, &[branch(participant, "quick"), branch(participant, "stuck")]);
    client.begin("?wait=decided", &body).await;
    client.event(gid, "parked").await;
}

#[tokio::test]
async fn a_branch_resolved_by_hand_ends_the_transaction_and_shows_by_whom_and_why() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    parked(&client, &participant, "order-1").await;
    let word = json!({ "as": "confirmed", "note": "seen in their books" });
    let answer = resolve(&client, "order-1", "stuck", &word).await;
    transaction(&answer, 200, "confirmed");
    let calls = participant.calls_of("stuck", Op::Confirm).len();
    tercet.kill().await;
    tercet.restart().await;
    for shown in [answer, tercet.client().get("order-1").await] {
        transaction(&shown, 200, "confirmed");
        let stuck = shown.branch("stuck");
        assert_eq!(
            (&stuck["status"], &stuck["resolved_as"]),
            (&json!("confirmed"), &json!("confirmed"))
        );
        assert_eq!(stuck["parked"], false);
        assert!(stuck["finished_at"].is_string(), "{}", shown.text);
        assert_eq!(shown.branch("quick")["resolved_as"], Value::Null);
        assert_eq!((shown.field("parked"), shown.field("mixed")), (&json!(false), &Value::Null));
    }
    let line = tercet.client().event("order-1", "resolved").await;
    assert_eq!(line["branch"], "stuck");
    assert_eq!(line["detail"], "as confirmed by 127.0.0.1: seen in their books");
    assert_eq!(participant.calls_of("stuck", Op::Confirm).len(), calls, "it is not called again");
}

#[tokio::test]
async fn a_branch_resolved_against_the_decision_makes_the_transaction_mixed() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    parked(&client, &participant, "order-1").await;
    let answer = resolve(&client, "order-1", "stuck", &json!({ "as": "cancelled" })).await;
    transaction(&answer, 200, "confirmed");
    assert_eq!(answer.branch("stuck")["status"], "cancelled");
    let listed = client.send(Method::GET, "/v1/transactions", None).await;
    for shown in [&answer.json, &client.finished("order-1").await.json, &listed.json["items"][0]] {
        assert_eq!(shown["mixed"], true, "{shown}");
    }
}

#[tokio::test]
async fn what_cannot_be_resolved_is_refused_by_name() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("open-1", &[branch(&participant, "stock")])).await;
    let word = json!({ "as": "confirmed" });
    let refused = resolve(&client, "open-1", "stock", &word).await;
    problem(&refused, "not-decided", Some("open-1"));
    problem(&resolve(&client, "open-1", "b9", &word).await, "branch-not-found", Some("open-1"));
    problem(
        &resolve(&client, "none-1", "b1", &word).await,
        "transaction-not-found",
        Some("none-1"),
    );
    transaction(&client.confirm("open-1", "").await, 200, "confirmed");
    let refused = resolve(&client, "open-1", "stock", &word).await;
    problem(&refused, "already-finished", Some("open-1"));
    for (body, named) in [
        (json!({ "as": "done" }), "as"),
        (json!({ "note": "x" }), "`as`"),
        (json!({ "as": "confirmed", "why": "x" }), "`why`"),
        (json!({ "as": "confirmed", "note": "x".repeat(1_025) }), "note"),
    ] {
        let refused = resolve(&client, "open-1", "stock", &body).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").contains(named), "{body}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_retry_calls_at_once_what_waits_and_says_so_in_the_history() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.next("slow", Op::Confirm, [in_a_minute()]);
    client.begin("?wait=decided", &begin("order-1", &[branch(&participant, "slow")])).await;
    participant.called("slow", Op::Confirm, 1).await;
    waits(&client, "order-1").await;
    let answer = retry(&client, "order-1").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    participant.called("slow", Op::Confirm, 2).await;
    transaction(&client.finished("order-1").await, 200, "confirmed");
    assert_eq!(client.event("order-1", "retried").await["detail"], "by 127.0.0.1");
    // Finished: nothing to do is no mistake.
    transaction(&retry(&client, "order-1").await, 200, "confirmed");
    problem(&retry(&client, "none-1").await, "transaction-not-found", Some("none-1"));
}

#[tokio::test]
async fn a_retry_by_filter_reaches_every_unfinished_one_it_names_and_no_other() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let (other, client) = (Participant::start().await, tercet.client());
    for at in [&participant, &other] {
        at.always("slow", Op::Confirm, in_a_minute());
    }
    for n in 0..5 {
        let at = if n < 3 { &participant } else { &other };
        client.begin("?wait=decided", &begin(&format!("order-{n}"), &[branch(at, "slow")])).await;
    }
    client.begin("", &begin("done-1", &[branch(&participant, "stock")])).await;
    for n in 0..5 {
        waits(&client, &format!("order-{n}")).await;
    }
    participant.always("slow", Op::Confirm, Reaction::status(200));
    let path = format!("/v1/retry?participant={}", participant.host_port());
    let answer = client.send(Method::POST, &path, None).await;
    assert_eq!((answer.status, &answer.json), (200, &json!({ "retried": 3 })), "{}", answer.text);
    for n in 0..3 {
        transaction(&client.finished(&format!("order-{n}")).await, 200, "confirmed");
    }
    assert_eq!(other.calls_of("slow", Op::Confirm).len(), 2, "nobody asked for those");
    let refused = client.send(Method::POST, "/v1/retry?status=confirmed", None).await;
    problem(&refused, "invalid-request", None);
    let refused = client.send(Method::POST, "/v1/retry?statsu=trying", None).await;
    problem(&refused, "invalid-request", None);
}

#[tokio::test]
async fn what_is_parked_is_logged_with_what_to_do() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    parked(&tercet.client(), &participant, "order-1").await;
    let line = tercet.logged("a branch is parked").await;
    for said in [
        "WARN",
        "gid=order-1",
        "branch=stuck",
        &participant.host_port(),
        "answered 404",
        "tercet tx retry order-1",
        "tercet tx resolve order-1 stuck",
    ] {
        assert!(line.contains(said), "{said} in {line}");
    }
}
