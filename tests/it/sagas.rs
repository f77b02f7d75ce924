//! Sagas: steps in their order, undone in reverse.

use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{branch, with};
use crate::expected::{problem, transaction};

/// A step that can be done and undone.
pub(crate) fn step(at: &Participant, id: &str, after: Option<&[&str]>) -> Value {
    let step = json!({
        "id": id, "action": at.url(&format!("/{id}/book")),
        "compensate": at.url(&format!("/{id}/release")), "timeout_ms": 25_000,
    });
    match after {
        Some(after) => with(step, json!({ "after": after })),
        None => step,
    }
}

pub(crate) fn saga(gid: &str, steps: &[Value]) -> String {
    json!({ "gid": gid, "pattern": "saga", "branches": steps }).to_string()
}

/// A trip: a flight and a hotel, then what cannot be undone, then a mail.
fn trip(at: &Participant, gid: &str) -> String {
    let pay = json!({ "id": "pay", "action": at.url("/pay"), "after": ["flight", "hotel"] });
    let mail = json!({ "id": "mail", "confirm": at.url("/mail"), "after": ["pay"] });
    saga(gid, &[step(at, "flight", Some(&[])), step(at, "hotel", Some(&[])), pay, mail])
}

/// The calls that came in, as `branch op`.
fn calls(at: &Participant) -> Vec<String> {
    at.calls().iter().map(|call| format!("{} {}", call.branch, call.op)).collect()
}

#[tokio::test]
async fn steps_are_called_in_their_order() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let confirmed = client.begin("?wait=finished", &trip(&participant, "trip")).await;
    transaction(&confirmed, 201, "confirmed");
    assert_eq!(confirmed.word("pattern"), "saga");
    assert_eq!(confirmed.branch("pay")["after"], json!(["flight", "hotel"]));
    let mut calls = calls(&participant);
    calls[..2].sort();
    assert_eq!(calls, ["flight try", "hotel try", "pay try", "mail confirm"]);
    // Of each leg its way, whatever else the history has no room for.
    let events = client.events("trip").await;
    let lines = events.json["items"].as_array().expect("lines").iter();
    let of_pay = lines.filter(|line| line["branch"] == "pay");
    let of_pay: Vec<&str> = of_pay.filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(of_pay, ["step-called", "step-done"]);
}

/// Keeps P4.
#[tokio::test]
async fn what_was_done_is_undone_in_reverse_and_the_rest_is_skipped() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("hotel", Op::Try, Reaction::status(409));
    let steps = ["flight", "car", "hotel", "pay"].map(|id| step(&participant, id, None));
    let cancelled = client.begin("?wait=finished", &saga("trip", &steps)).await;
    transaction(&cancelled, 201, "cancelled");
    assert_eq!(cancelled.word("reason"), "try-refused");
    let expected =
        ["flight try", "car try", "hotel try", "hotel cancel", "car cancel", "flight cancel"];
    assert_eq!(calls(&participant), expected);
    let statuses =
        ["flight", "car", "hotel", "pay"].map(|id| cancelled.branch(id)["status"].clone());
    assert_eq!(statuses, ["cancelled", "cancelled", "cancelled", "skipped"]);
    let path = "/v1/transactions/trip/branches/pay/resolve";
    let body = json!({ "as": "cancelled", "note": "x" }).to_string();
    let refused = client.send(http::Method::POST, path, Some(&body)).await;
    problem(&refused, "already-finished", Some("trip"));
}

/// Keeps P1, P5.
#[tokio::test]
async fn a_step_that_was_done_is_done_once_whatever_dies() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    let never = Gate::closed();
    participant.next("hotel", Op::Try, [Reaction::status(200).behind(&never)]);
    let steps = ["flight", "hotel", "pay"].map(|id| step(&participant, id, None));
    tercet.client().begin("?wait=accepted", &saga("trip", &steps)).await;
    participant.called("hotel", Op::Try, 1).await;
    tercet.kill().await;
    tercet.restart().await;
    let confirmed = tercet.client().finished("trip").await;
    transaction(&confirmed, 200, "confirmed");
    assert_eq!(calls(&participant), ["flight try", "hotel try", "hotel try", "pay try"]);
    // All the way back, over another crash in its middle.
    participant.always("void", Op::Try, Reaction::status(409));
    participant.next("hotel", Op::Cancel, [Reaction::status(200).behind(&never)]);
    let steps = ["flight", "hotel", "void", "pay"].map(|id| step(&participant, id, None));
    tercet.client().begin("?wait=accepted", &saga("back", &steps)).await;
    participant.called("hotel", Op::Cancel, 1).await;
    tercet.kill().await;
    tercet.restart().await;
    let cancelled = tercet.client().finished("back").await;
    transaction(&cancelled, 200, "cancelled");
    assert_eq!(cancelled.branch("pay")["status"], "skipped");
    assert_eq!(participant.calls_of("void", Op::Cancel).len(), 1, "it had acknowledged");
    assert_eq!(participant.calls_of("flight", Op::Cancel).len(), 1);
    assert_eq!(participant.calls_of("pay", Op::Cancel).len(), 0);
}

#[tokio::test]
async fn steps_of_an_open_saga_are_registered_one_after_the_other() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let body = json!({ "gid": "trip", "pattern": "saga", "open": true }).to_string();
    transaction(&client.begin("", &body).await, 201, "trying");
    let gate = Gate::closed();
    participant.always("flight", Op::Try, Reaction::status(200).behind(&gate));
    let register = async |branch: Value, query: &str| {
        client.register("trip", query, &branch.to_string()).await
    };
    register(step(&participant, "flight", None), "?wait=accepted").await;
    participant.called("flight", Op::Try, 1).await;
    let told = register(step(&participant, "hotel", None), "?wait=accepted").await;
    assert_eq!(
        (told.status, told.word("status")),
        (201, "registered"),
        "it comes after the flight"
    );
    let told = register(step(&participant, "car", Some(&[])), "").await;
    assert_eq!((told.status, told.word("status")), (201, "tried"), "it comes after nothing");
    assert_eq!(participant.calls_of("hotel", Op::Try).len(), 0);
    for (field, wrong) in [
        ("after", step(&participant, "x", Some(&["nobody"]))),
        ("after", step(&participant, "x", Some(&["x"]))),
        ("after", step(&participant, "x", Some(&["car", "car"]))),
        ("try_by", json!({ "id": "x", "confirm": participant.url("/x"), "try_by": "initiator" })),
    ] {
        let refused = register(wrong, "").await;
        assert_eq!(
            (refused.status, refused.word("code")),
            (400, "invalid-request"),
            "{}",
            refused.text
        );
        assert!(refused.word("detail").starts_with(field), "{}", refused.text);
    }
    gate.open();
    participant.called("hotel", Op::Try, 1).await;
    let told = client.confirm("trip", "").await;
    assert!(matches!(told.word("status"), "confirmed") || told.word("code") == "tries-outstanding");
    tercet_testing::eventually("it confirms", async || {
        (client.confirm("trip", "").await.word("status") == "confirmed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_none_is_refused_by_name() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let two = |one: Option<&[&str]>, other: Option<&[&str]>| {
        saga("trip", &[step(&participant, "a", one), step(&participant, "b", other)])
    };
    let both = with(step(&participant, "a", None), json!({ "try": participant.url("/a") }));
    let tcc = json!({ "branches": [step(&participant, "a", Some(&[]))] }).to_string();
    let late = json!({ "branches": [step(&participant, "a", None)], "timeout_ms": 86_400_001 });
    for (field, body) in [
        ("branches[0].after", two(Some(&["a"]), None)),
        ("branches[1].after", two(None, Some(&["c"]))),
        ("branches[0].after", two(Some(&["b"]), None)),
        ("branches[1].after", two(None, Some(&["a", "a"]))),
        ("branches[0].action", saga("trip", &[both])),
        ("branches[0].after", tcc),
        ("branches", saga("trip", &[])),
        ("timeout_ms", late.to_string()),
        (
            "branches[0].try_attempts",
            saga("trip", &[with(branch(&participant, "a"), json!({ "try_attempts": 1_001 }))]),
        ),
    ] {
        let refused = client.begin("", &body).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").starts_with(field), "{field}: {}", refused.text);
    }
    assert_eq!(calls(&participant), Vec::<String>::new());
}

#[tokio::test]
async fn a_repeat_of_a_saga_is_one_whatever_order_its_order_is_written_in() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let body = |after: &[&str], timeout_ms: u64| {
        let steps = [
            step(&participant, "a", Some(&[])),
            step(&participant, "b", Some(&[])),
            step(&participant, "c", Some(after)),
        ];
        json!({ "gid": "trip", "pattern": "saga", "branches": steps, "timeout_ms": timeout_ms })
            .to_string()
    };
    transaction(
        &client.begin("?wait=finished", &body(&["a", "b"], 3_600_000)).await,
        201,
        "confirmed",
    );
    // An hour is what a saga has unless it says otherwise.
    let without = body(&["b", "a"], 3_600_000).replace(",\"timeout_ms\":3600000", "");
    transaction(&client.begin("", &without).await, 200, "confirmed");
    problem(&client.begin("", &body(&["a"], 3_600_000)).await, "gid-reused", Some("trip"));
    let listed = client.send(http::Method::GET, "/v1/transactions?pattern=saga", None).await;
    assert_eq!(listed.json["items"].as_array().map(Vec::len), Some(1));
    let listed = client.send(http::Method::GET, "/v1/transactions?pattern=tcc", None).await;
    assert_eq!(listed.json["items"].as_array().map(Vec::len), Some(0));
}

/// Keeps P9.
#[tokio::test]
async fn a_step_that_fails_is_called_until_it_is_done_and_shown_to_people_meanwhile() {
    let settings = [("RETRY__PARK_AFTER_MS", "1000"), ("RETRY__MAX_BACKOFF_MS", "200")];
    let (tercet, participant) = (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    participant.always("hotel", Op::Try, Reaction::status(503));
    let steps = ["flight", "hotel"].map(|id| step(&participant, id, None));
    client.begin("?wait=accepted", &saga("trip", &steps)).await;
    participant.called("hotel", Op::Try, 4).await;
    client.event("trip", "parked").await;
    participant.always("hotel", Op::Try, Reaction::status(200));
    let confirmed = client.finished("trip").await;
    transaction(&confirmed, 200, "confirmed");
}
