//! Confirms that are put off: a delayed message.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Participant, Tercet};
use tercet_wire::{Op, Wall};

use crate::bodies::{begin, begin_open, branch, with};
use crate::expected::{problem, transaction};

/// A day: as long as nobody waits here.
const LONG: u64 = 86_400_000;

fn message(at: &Participant, id: &str, confirm_after_ms: u64) -> Value {
    json!({ "id": id, "confirm": at.url("/confirm"), "confirm_after_ms": confirm_after_ms })
}

fn wall(shown: &Value) -> Wall {
    shown.as_str().and_then(|text| text.parse().ok()).expect("a time")
}

/// Begins it, decided at once.
async fn put_off(tercet: &Tercet, gid: &str, branches: &[Value]) {
    let begun = tercet.client().begin("?wait=decided", &begin(gid, branches)).await;
    transaction(&begun, 201, "confirming");
}

#[tokio::test]
async fn a_message_goes_out_after_its_time_and_not_before() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let both = [message(&participant, "later", 700), branch(&participant, "now")];
    put_off(&tercet, "order-1", &both).await;
    let shown = client.get("order-1").await;
    let decided_at = wall(shown.field("decided_at"));
    let due = decided_at.after(Duration::from_millis(700));
    assert_eq!(wall(&shown.branch("later")["next_attempt_at"]), due);
    participant.called("now", Op::Confirm, 1).await;
    assert_eq!(participant.calls_of("later", Op::Confirm).len(), 0);
    let confirmed = client.finished("order-1").await;
    transaction(&confirmed, 200, "confirmed");
    assert!(wall(confirmed.field("finished_at")) >= due, "{}", confirmed.text);
    assert_eq!(confirmed.branch("later")["attempts"]["confirm"], 1);
}

/// Keeps P5.
#[tokio::test]
async fn a_message_waits_on_after_the_node_was_killed() {
    let (mut tercet, participant) = (Tercet::start().await, Participant::start().await);
    put_off(&tercet, "soon", &[message(&participant, "soon", 1_500)]).await;
    put_off(&tercet, "late", &[message(&participant, "late", LONG)]).await;
    let before = tercet.client().get("late").await;
    tercet.kill().await;
    tercet.restart().await;
    let client = tercet.client();
    let after = client.get("late").await;
    let next = |shown: &tercet_testing::Response| shown.branch("late")["next_attempt_at"].clone();
    assert_eq!(next(&after), next(&before));
    let soon = client.finished("soon").await;
    let due = wall(soon.field("decided_at")).after(Duration::from_millis(1_500));
    assert!(wall(soon.field("finished_at")) >= due, "{}", soon.text);
    assert_eq!(participant.calls_of("late", Op::Confirm).len(), 0);
}

#[tokio::test]
async fn nobody_is_troubled_by_a_message_that_waits() {
    let tercet = Tercet::start_with(&[("RETRY__PARK_AFTER_MS", "1000")]).await;
    let (participant, client) = (Participant::start().await, tercet.client());
    put_off(&tercet, "order-1", &[message(&participant, "a", LONG)]).await;
    let retried = client.send(Method::POST, "/v1/transactions/order-1/retry", None).await;
    assert_eq!(retried.status, 200, "{}", retried.text);
    // Another one is parked meanwhile, so it would have been.
    participant.always("b", Op::Confirm, tercet_testing::Reaction::status(503));
    put_off(&tercet, "order-2", &[branch(&participant, "b")]).await;
    client.event("order-2", "parked").await;
    let shown = client.get("order-1").await;
    assert_eq!(shown.branch("a")["parked"], false);
    assert!(wall(&shown.branch("a")["next_attempt_at"]) > wall(shown.field("decided_at")));
    let resolve = "/v1/transactions/order-2/branches/b/resolve";
    let word = json!({ "as": "confirmed", "note": "x" }).to_string();
    client.send(Method::POST, resolve, Some(&word)).await;
    client.finished("order-2").await;
    let stats = client.send(Method::GET, "/v1/stats", None).await;
    assert_eq!(stats.json["by_status"]["confirming"], 1);
    assert_eq!(stats.json["oldest_unfinished_seconds"], Value::Null);
    assert_eq!(participant.calls_of("a", Op::Confirm).len(), 0);
    let resolve = resolve.replace("order-2/branches/b", "order-1/branches/a");
    let resolved = client.send(Method::POST, &resolve, Some(&word)).await;
    transaction(&resolved, 200, "confirmed");
}

#[tokio::test]
async fn a_step_is_put_off_from_the_decision_on() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let steps = [
        json!({ "id": "pay", "action": participant.url("/pay") }),
        message(&participant, "mail", 500),
        message(&participant, "thanks", 1),
    ];
    let saga = json!({ "gid": "trip", "pattern": "saga", "branches": steps }).to_string();
    client.begin("?wait=decided", &saga).await;
    let done = client.finished("trip").await;
    transaction(&done, 200, "confirmed");
    let calls = participant.calls();
    let calls: Vec<String> = calls.iter().map(|it| format!("{} {}", it.branch, it.op)).collect();
    assert_eq!(calls, ["pay try", "mail confirm", "thanks confirm"]);
    let due = wall(done.field("decided_at")).after(Duration::from_millis(500));
    assert!(wall(done.field("finished_at")) >= due, "{}", done.text);
}

#[tokio::test]
async fn what_cannot_be_put_off_is_refused() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let put_off = |it: Value, ms: u64| with(it, json!({ "confirm_after_ms": ms }));
    let only_try = json!({ "id": "a", "try": participant.url("/try") });
    for branch in [put_off(branch(&participant, "a"), 2_592_000_001), put_off(only_try.clone(), 1)]
    {
        let refused = client.begin("", &begin("order-1", &[branch])).await;
        problem(&refused, "invalid-request", None);
        let detail = refused.word("detail");
        assert!(detail.starts_with("branches[0].confirm_after_ms"), "{detail}");
    }
    client.begin("", &begin_open("open", &[])).await;
    let refused = client.register("open", "", &put_off(only_try, 1).to_string()).await;
    problem(&refused, "invalid-request", None);
    assert!(refused.word("detail").starts_with("confirm_after_ms"), "{}", refused.text);
}
