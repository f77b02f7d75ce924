//! Several branches registered at once: all of them or none.

use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin_open, branch, with};
use crate::expected::{problem, transaction};

fn array(at: &Participant, ids: &[&str]) -> String {
    Value::from_iter(ids.iter().map(|id| branch(at, id))).to_string()
}

fn shown(response: &tercet_testing::Response) -> Vec<String> {
    let branches = response.json["branches"].as_array().expect(&response.text).iter();
    branches.map(|it| format!("{} {}", it["id"], it["status"]).replace('"', "")).collect()
}

/// Keeps P1.
#[tokio::test]
async fn several_branches_are_registered_and_tried_at_once() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    let both = array(&participant, &["stock", "payment"]);
    let registered = client.register("order-1", "", &both).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    assert_eq!(registered.header("tercet-status"), "trying");
    assert_eq!(shown(&registered), ["stock tried", "payment tried"]);
    let again = client.register("order-1", "", &both).await;
    assert_eq!((again.status, shown(&again)), (200, shown(&registered)));
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
    for id in ["stock", "payment"] {
        let calls = Op::ALL.map(|op| participant.calls_of(id, op).len());
        assert_eq!(calls, [1, 1, 0], "{id}: Try, Confirm, Cancel");
    }
}

/// Keeps P7.
#[tokio::test]
async fn several_that_are_not_tried_in_time_are_accepted() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    let gate = Gate::closed();
    participant.next("slow", Op::Try, [Reaction::status(200).behind(&gate)]);
    let both = array(&participant, &["quick", "slow"]);
    let waited = client.register("order-1", "?wait_ms=0", &both).await;
    assert_eq!(waited.status, 202, "{}", waited.text);
    let accepted = client.register("order-1", "?wait=accepted", &both).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    gate.open();
    let tried = client.register("order-1", "", &both).await;
    assert_eq!(
        (tried.status, shown(&tried)),
        (200, vec!["quick tried".into(), "slow tried".into()])
    );
    let whole = with(branch(&participant, "late"), json!({ "id": "late" }));
    let one = client.register("order-1", "", &json!([whole]).to_string()).await;
    assert_eq!((one.status, shown(&one)), (201, vec!["late tried".to_owned()]));
    let alone = client.register("order-1", "", &whole.to_string()).await;
    assert_eq!((alone.status, alone.word("status")), (200, "tried"), "one alone is one");
}

#[tokio::test]
async fn a_refused_one_is_told_with_all_and_cancels() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    participant.always("payment", Op::Try, Reaction::status(409));
    let both = array(&participant, &["stock", "payment"]);
    let registered = client.register("order-1", "", &both).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    let payment = &registered.json["branches"][1];
    assert!(payment["status"] == "refused" || payment["status"] == "cancelled", "{payment}");
    assert_eq!(payment["answer"]["status"], 409);
    let cancelled = client.finished("order-1").await;
    transaction(&cancelled, 200, "cancelled");
    assert_eq!(cancelled.word("reason"), "try-refused");
}

#[tokio::test]
async fn all_are_registered_or_none() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    client.register("order-1", "", &branch(&participant, "alone").to_string()).await;
    let good = branch(&participant, "good");
    let two = |other: Value| json!([good, other]).to_string();
    let many: Vec<Value> =
        (0..64).map(|number| branch(&participant, &format!("b{number}"))).collect();
    let other = with(branch(&participant, "alone"), json!({ "payload": 7 }));
    for (code, place, body) in [
        ("invalid-request", "body", "[]".to_owned()),
        ("invalid-request", "[1]", two(json!({ "idd": "x" }))),
        ("invalid-request", "[1]", two(json!(7))),
        ("invalid-request", "[1].id", two(good.clone())),
        (
            "invalid-request",
            "[1].after",
            two(with(branch(&participant, "x"), json!({ "after": ["good"] }))),
        ),
        ("invalid-request", "[63]", Value::from(many.clone()).to_string()),
        ("invalid-request", "[64]", Value::from([many, vec![good.clone()]].concat()).to_string()),
        ("branch-reused", "[1]", two(branch(&participant, "alone"))),
        ("branch-reused", "[1]", two(other)),
    ] {
        let refused = client.register("order-1", "", &body).await;
        problem(
            &refused,
            code,
            (code == "branch-reused" || place == "[63]" || place == "[1].after")
                .then_some("order-1"),
        );
        assert!(refused.word("detail").starts_with(place), "{place}: {}", refused.text);
    }
    let shown = client.get("order-1").await;
    assert_eq!(shown.json["branches"].as_array().map(Vec::len), Some(1), "{}", shown.text);
    let registered = array(&participant, &["a", "b"]);
    assert_eq!(client.register("order-1", "", &registered).await.status, 201);
    for other in [&["a", "b", "c"][..], &["b", "a"], &["a"]] {
        let refused = client.register("order-1", "", &array(&participant, other)).await;
        problem(&refused, "branch-reused", Some("order-1"));
        assert!(refused.word("detail").starts_with("[0]"), "{}", refused.text);
    }
    transaction(&client.cancel("order-1", "", None).await, 200, "cancelled");
    let late = client.register("order-1", "", &array(&participant, &["late", "later"])).await;
    problem(&late, "already-cancelled", Some("order-1"));
}

/// Keeps P1, P5.
#[tokio::test]
async fn several_are_there_after_the_node_was_killed() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    tercet.client().begin("", &begin_open("order-1", &[])).await;
    let never = Gate::closed();
    participant.next("b", Op::Try, [Reaction::status(200).behind(&never)]);
    let all = array(&participant, &["a", "b", "c"]);
    tercet.client().register("order-1", "?wait=accepted", &all).await;
    participant.called("b", Op::Try, 1).await;
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    let again = client.register("order-1", "", &all).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(shown(&again), ["a tried", "b tried", "c tried"]);
    transaction(&client.confirm("order-1", "").await, 200, "confirmed");
}

#[tokio::test]
async fn steps_registered_at_once_keep_their_order() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let begun = json!({ "gid": "trip", "pattern": "saga", "open": true }).to_string();
    transaction(&client.begin("", &begun).await, 201, "trying");
    let step = |id: &str, after: Value| with(branch(&participant, id), after);
    let steps = json!([
        step("a", json!({})),
        step("b", json!({})),
        step("c", json!({ "after": ["a"] })),
        step("d", json!({ "after": ["b", "c"] })),
    ]);
    let registered = client.register("trip", "", &steps.to_string()).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    let afters: Vec<&Value> = registered.json["branches"]
        .as_array()
        .expect("branches")
        .iter()
        .map(|it| &it["after"])
        .collect();
    assert_eq!(json!(afters), json!([[], ["a"], ["a"], ["b", "c"]]));
    let calls: Vec<String> = participant.calls().iter().map(|it| it.branch.clone()).collect();
    assert_eq!((&*calls[0], &*calls[3]), ("a", "d"));
    let circle = json!([step("e", json!({ "after": ["f"] })), step("f", json!({}))]);
    let refused = client.register("trip", "", &circle.to_string()).await;
    problem(&refused, "invalid-request", Some("trip"));
    assert!(refused.word("detail").starts_with("[0].after"), "{}", refused.text);
}
