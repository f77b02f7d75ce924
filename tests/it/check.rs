//! An open transaction's initiator is asked at its deadline.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Client, Gate, Participant, Reaction, Received, Tercet};
use tercet_wire::Op;

use crate::bodies::with;
use crate::expected::{problem, transaction};

/// How the testing participant tells of what asks it.
const CHECK: (&str, Op) = ("check", Op::Try);

/// A message, with an initiator that is asked soon.
fn message(at: &Participant, gid: &str) -> Value {
    let mail = json!({ "id": "mail", "confirm": at.url("/mail"), "cancel": at.url("/unmail") });
    json!({
        "gid": gid, "open": true, "timeout_ms": 200, "check": at.url("/orders/check?a=b"),
        "branches": [mail],
    })
}

async fn begin(client: &Client, at: &Participant, gid: &str) {
    let begun = client.begin("", &message(at, gid).to_string()).await;
    transaction(&begun, 201, "trying");
    assert_eq!(begun.word("check"), at.url("/orders/check?a=b"));
}

async fn asked(at: &Participant, nth: usize) -> Received {
    at.called(CHECK.0, CHECK.1, nth).await
}

/// Keeps P7.
#[tokio::test]
async fn each_answer_of_an_initiator_has_its_meaning() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    for (status, outcome) in [
        (200, "confirmed"),
        (204, "confirmed"),
        (404, "cancelled"),
        (409, "cancelled"),
        (410, "cancelled"),
    ] {
        let gid = format!("order-{status}");
        participant.next(CHECK.0, CHECK.1, [Reaction::status(status)]);
        begin(&client, &participant, &gid).await;
        let ended = client.finished(&gid).await;
        transaction(&ended, 200, outcome);
        let reason = if outcome == "cancelled" { json!("check") } else { Value::Null };
        assert_eq!(*ended.field("reason"), reason, "{}", ended.text);
        let line = client.event(&gid, "checked").await;
        assert_eq!(
            (&line["op"], &line["branch"], &line["attempt"]),
            (&json!("check"), &Value::Null, &json!(1))
        );
        assert_eq!(line["detail"], format!("answered {status}"));
        let told = if outcome == "confirmed" { Op::Confirm } else { Op::Cancel };
        let last = participant.calls().pop().expect("it was told");
        assert_eq!((last.branch.as_str(), last.op), ("mail", told));
    }
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    let label = |result: &str, count: u32| {
        let participant = participant.host_port();
        format!(
            "tercet_branch_calls_total{{participant=\"{participant}\",op=\"check\",result=\"{result}\"}} {count}"
        )
    };
    assert!(metrics.contains(&label("done", 2)), "{metrics}");
    assert!(metrics.contains(&label("refused", 3)), "{metrics}");
    let listed = client.send(Method::GET, "/v1/transactions", None).await;
    let shown = &listed.json["items"][0]["check"];
    assert_eq!(*shown, json!(participant.url("/orders/check?a=b")), "{}", listed.text);
}

#[tokio::test]
async fn the_question_says_which_transaction_and_nothing_else() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    begin(&client, &participant, "order-1").await;
    let call = asked(&participant, 1).await;
    let instance = client.finished("order-1").await.word("instance").to_owned();
    assert_eq!((call.path.as_str(), call.body.as_str()), ("/orders/check?a=b", "{}"));
    let header = |name: &str| call.headers.get(name).map(String::as_str);
    assert_eq!(header("tercet-gid"), Some("order-1"));
    assert_eq!(header("tercet-instance"), Some(instance.as_str()));
    assert_eq!(header("tercet-op"), Some("check"));
    assert_eq!(header("tercet-attempt"), Some("1"));
    assert_eq!(header("idempotency-key"), Some("\"order-1/check\""));
    assert_eq!(header("content-type"), Some("application/json"));
    assert!(header("traceparent").is_some());
    for none in ["tercet-branch", "tercet-legs", "tercet-deadline"] {
        assert_eq!(header(none), None, "{none}");
    }
}

/// Keeps P2.
#[tokio::test]
async fn whoever_decides_first_wins_and_the_answer_comes_too_late() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    for (gid, decided, status) in [("order-1", "confirmed", 404), ("order-2", "cancelled", 200)] {
        let gate = Gate::closed();
        participant.next(CHECK.0, CHECK.1, [Reaction::status(status).behind(&gate)]);
        begin(&client, &participant, gid).await;
        let nth = participant.calls_of(CHECK.0, CHECK.1).len().max(1);
        asked(&participant, if gid == "order-1" { 1 } else { nth.max(2) }).await;
        let register = json!({ "id": "late", "confirm": participant.url("/late") }).to_string();
        problem(&client.register(gid, "", &register).await, "not-open", Some(gid));
        let answer = match decided {
            "confirmed" => client.confirm(gid, "").await,
            _ => client.cancel(gid, "", None).await,
        };
        transaction(&answer, 200, decided);
        gate.open();
        transaction(&client.finished(gid).await, 200, decided);
    }
    assert_eq!(participant.calls_of(CHECK.0, CHECK.1).len(), 2);
}

/// Keeps P5.
#[tokio::test]
async fn a_coordinator_that_is_killed_while_it_asks_asks_again() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    let never = Gate::closed();
    participant.next(CHECK.0, CHECK.1, [Reaction::status(404).behind(&never)]);
    begin(&tercet.client(), &participant, "order-1").await;
    asked(&participant, 1).await;
    tercet.kill().await;
    tercet.restart().await;
    let confirmed = tercet.client().finished("order-1").await;
    transaction(&confirmed, 200, "confirmed");
    assert_eq!(participant.calls_of(CHECK.0, CHECK.1).len(), 2);
    assert_eq!(confirmed.word("check"), participant.url("/orders/check?a=b"));
}

/// Keeps P9.
#[tokio::test]
async fn an_initiator_that_does_not_say_is_shown_and_still_asked() {
    let settings = [("RETRY__MAX_BACKOFF_MS", "60000"), ("RETRY__INITIAL_BACKOFF_MS", "1")];
    let (tercet, mut participant) =
        (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    // At it; then three answers in a row that cannot become right by themselves.
    let at_it = Reaction::status(202).header("retry-after", "0");
    let wrong = || Reaction::status(400);
    participant.next(CHECK.0, CHECK.1, [at_it, wrong(), wrong(), wrong()]);
    participant.always(CHECK.0, CHECK.1, Reaction::status(503).header("retry-after", "60"));
    begin(&client, &participant, "order-1").await;
    let line = client.event("order-1", "parked").await;
    assert_eq!((&line["op"], &line["detail"]), (&json!("check"), &json!("answered 400")));
    assert_eq!(line["attempt"], 4);
    let shown = client.get("order-1").await;
    transaction(&shown, 200, "trying");
    assert_eq!(*shown.field("parked"), json!(true));
    assert_eq!(shown.branch("mail")["parked"], json!(false));
    let listed = client.send(Method::GET, "/v1/transactions?parked=true", None).await;
    assert_eq!(listed.json["items"][0]["gid"], "order-1", "{}", listed.text);
    asked(&participant, 5).await;
    // It is away for a minute: an operator's retry asks now.
    let failed = async || {
        let events = client.events("order-1").await;
        events.text.contains("answered 503").then_some(())
    };
    tercet_testing::eventually("its answer in the history", failed).await;
    let never = Gate::closed();
    participant.next(CHECK.0, CHECK.1, [Reaction::status(200).behind(&never)]);
    let path = "/v1/transactions/order-1/retry";
    transaction(&client.send(Method::POST, path, None).await, 200, "trying");
    asked(&participant, 6).await;
    participant.stop().await;
    participant.restart().await;
    transaction(&client.confirm("order-1", "?wait=decided").await, 200, "confirming");
    let shown = client.finished("order-1").await;
    assert_eq!(*shown.field("parked"), json!(false));
}

#[tokio::test]
async fn an_unanswered_try_cancels_and_nobody_is_asked() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let never = Gate::closed();
    participant.always("stock", Op::Try, Reaction::status(200).behind(&never));
    let stock = json!({ "id": "stock", "endpoint": participant.url("/stock") });
    let body = with(message(&participant, "order-1"), json!({ "branches": [stock] }));
    client.begin("", &body.to_string()).await;
    let cancelled = client.finished("order-1").await;
    assert_eq!((cancelled.word("status"), cancelled.word("reason")), ("cancelled", "deadline"));
    assert_eq!(participant.calls_of(CHECK.0, CHECK.1).len(), 0);
}

#[tokio::test]
async fn a_check_is_for_open_transactions_and_a_url_like_others() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let of = |fields: Value| with(message(&participant, "order-1"), fields).to_string();
    let link_local = "http://169.254.169.254/check";
    for (body, named) in [
        (of(json!({ "open": false })), "check"),
        (of(json!({ "check": "/orders" })), "check"),
        (of(json!({ "check": "http://me@h/" })), "check"),
        (of(json!({ "check": format!("http://h/{}", "a".repeat(2_048)) })), "check"),
        (of(json!({ "check": link_local })), "check"),
        (of(json!({ "check": format!("http://{}/", tercet.address()) })), "check"),
        (of(json!({ "timeout_ms": 2_592_000_001_u64 })), "timeout_ms"),
        (of(json!({ "check": null, "timeout_ms": 86_400_001 })), "timeout_ms"),
    ] {
        let refused = client.begin("", &body).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").contains(named), "{body}: {}", refused.text);
    }
    let month = of(json!({ "timeout_ms": 2_592_000_000_u64 }));
    transaction(&client.begin("", &month).await, 201, "trying");
    transaction(&client.begin("", &month).await, 200, "trying");
    let other = of(json!({ "timeout_ms": 2_592_000_000_u64, "check": participant.url("/x") }));
    problem(&client.begin("", &other).await, "gid-reused", Some("order-1"));
    // A saga is asked by the same rule.
    let saga = of(json!({ "gid": "order-2", "pattern": "saga" }));
    transaction(&client.begin("", &saga).await, 201, "trying");
    transaction(&client.finished("order-2").await, 200, "confirmed");
}
