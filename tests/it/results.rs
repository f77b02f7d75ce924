//! Results: what a Try is answered with is told to those who come after, durable first, and the same
//! to the byte whatever dies.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Gate, Participant, RawParticipant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{branch, with};
use crate::expected::{problem, transaction};

/// A step with two legs.
pub(crate) fn step(at: &Participant, id: &str) -> Value {
    json!({
        "id": id, "action": at.url(&format!("/{id}/book")),
        "compensate": at.url(&format!("/{id}/release")), "timeout_ms": 25_000,
    })
}

pub(crate) fn told(step: Value) -> Value {
    with(step, json!({ "results": true }))
}

pub(crate) fn saga(gid: &str, steps: &[Value]) -> String {
    json!({ "gid": gid, "pattern": "saga", "branches": steps }).to_string()
}

pub(crate) fn says(at: &Participant, branch: &str, body: &str) {
    at.always(branch, Op::Try, Reaction::status(200).body(body));
}

/// The body of the first such call.
pub(crate) async fn body(at: &Participant, branch: &str, op: Op) -> String {
    let call = at.called(branch, op, 1).await;
    assert_eq!(call.headers.get("tercet-results").map(String::as_str), Some("true"));
    call.body
}

/// Keeps P1.
#[tokio::test]
async fn whoever_comes_after_is_told_what_was_answered() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    says(&participant, "flight", "{ \"seat\" :\"12A\", \"fare\":1.50}");
    says(&participant, "car", "booked, \"really\"");
    let mail = json!({ "id": "mail", "confirm": participant.url("/mail"), "payload": [1.0] });
    let steps = [
        step(&participant, "flight"),
        step(&participant, "hotel"),
        told(step(&participant, "car")),
        told(mail),
    ];
    let confirmed = client.begin("?wait=finished", &saga("trip", &steps)).await;
    transaction(&confirmed, 201, "confirmed");
    let before = "\"flight\":{ \"seat\" :\"12A\", \"fare\":1.50},\"hotel\":null";
    let expected = format!("{{\"payload\":{{}},\"results\":{{{before}}}}}");
    assert_eq!(body(&participant, "car", Op::Try).await, expected);
    let own = "\"car\":\"booked, \\\"really\\\"\"";
    let expected = format!("{{\"payload\":[1.0],\"results\":{{{before},{own}}}}}");
    assert_eq!(body(&participant, "mail", Op::Confirm).await, expected);
    let plain = participant.called("flight", Op::Try, 1).await;
    assert_eq!((plain.body.as_str(), plain.headers.get("tercet-results")), ("{}", None));
    // Shown to the byte where one transaction is, and nowhere else.
    let shown = client.get("trip").await;
    assert!(
        shown.text.contains("\"result\":{ \"seat\" :\"12A\", \"fare\":1.50}"),
        "{}",
        shown.text
    );
    assert_eq!(shown.branch("hotel")["result"], Value::Null);
    assert!(shown.branch("hotel").get("result").is_some(), "null is a result");
    assert_eq!(shown.branch("car")["result"], "booked, \"really\"");
    assert!(shown.branch("mail").get("result").is_none(), "it has no Try");
    let listed = client.send(Method::GET, "/v1/transactions", None).await;
    assert!(!listed.text.contains("12A"), "{}", listed.text);
}

/// Keeps P1, P5.
#[tokio::test]
async fn a_crash_between_steps_changes_no_byte_of_what_is_told() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    let never = Gate::closed();
    let held = || Reaction::status(200).behind(&never);
    says(&participant, "flight", "[ 1e2,\"\u{e9}\"]");
    participant.next("hotel", Op::Try, [held(), held()]);
    says(&participant, "hotel", "first");
    participant.next("hotel", Op::Cancel, [held()]);
    participant.always("pay", Op::Try, Reaction::status(409));
    let steps = [
        step(&participant, "flight"),
        told(step(&participant, "hotel")),
        step(&participant, "pay"),
    ];
    tercet.client().begin("?wait=accepted", &saga("trip", &steps)).await;
    for nth in 1..=2 {
        participant.called("hotel", Op::Try, nth).await;
        tercet.kill().await;
        tercet.restart().await;
    }
    participant.called("hotel", Op::Cancel, 1).await;
    tercet.kill().await;
    tercet.restart().await;
    transaction(&tercet.client().finished("trip").await, 200, "cancelled");
    let flight = "\"flight\":[ 1e2,\"\u{e9}\"]";
    let (tried, undone) = (
        format!("{{\"payload\":{{}},\"results\":{{{flight}}}}}"),
        format!("{{\"payload\":{{}},\"results\":{{{flight},\"hotel\":\"first\"}}}}"),
    );
    for (op, times, expected) in [(Op::Try, 3, tried), (Op::Cancel, 2, undone)] {
        let calls = participant.calls_of("hotel", op);
        assert_eq!(calls.len(), times, "{op}");
        for call in calls {
            assert_eq!(call.body, expected, "{op} {}", call.attempt);
            assert_eq!(call.headers["idempotency-key"], format!("\"trip/hotel/{op}\""));
        }
    }
    let pay = participant.calls_of("pay", Op::Try);
    assert!(pay.iter().all(|call| call.body == "{}"), "it asked for nothing");
}

#[tokio::test]
async fn in_tcc_a_branch_is_told_its_own_in_confirm_and_cancel() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let branches = |ids: [&str; 2]| {
        let of = |id: &str| told(with(branch(&participant, id), json!({ "payload": {"n": 1} })));
        json!({ "gid": ids.concat(), "branches": ids.map(of) }).to_string()
    };
    says(&participant, "stock", "7");
    transaction(
        &client.begin("?wait=finished", &branches(["stock", "pay"])).await,
        201,
        "confirmed",
    );
    let none = "{\"payload\":{\"n\":1},\"results\":{}}";
    assert_eq!(body(&participant, "stock", Op::Try).await, none);
    let own = "{\"payload\":{\"n\":1},\"results\":{\"stock\":7}}";
    assert_eq!(body(&participant, "stock", Op::Confirm).await, own);
    // Of one that was refused there is none.
    participant.always("full", Op::Try, Reaction::status(409).body("no"));
    says(&participant, "kept", "8");
    let cancelled = client.begin("?wait=finished", &branches(["full", "kept"])).await;
    transaction(&cancelled, 201, "cancelled");
    assert_eq!(body(&participant, "full", Op::Cancel).await, none);
    assert!(cancelled.branch("full").get("result").is_none());
    let undone = body(&participant, "kept", Op::Cancel).await;
    // The refusal may have come before its answer.
    let own = "{\"payload\":{\"n\":1},\"results\":{\"kept\":8}}";
    assert!(undone == own || undone == none, "{undone}");
}

/// Keeps P9.
#[tokio::test]
async fn a_result_that_is_too_large_is_a_refusal() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    for (gid, bytes, status) in [
        ("fits", 16 * 1024, "confirmed"),
        ("large", 16 * 1024 + 1, "cancelled"),
        ("huge", 300 * 1024, "cancelled"),
    ] {
        says(&participant, "a", &"x".repeat(bytes));
        let steps = [step(&participant, "a"), told(step(&participant, "b"))];
        let ended = client.begin("?wait=finished", &saga(gid, &steps)).await;
        transaction(&ended, 201, status);
        if status == "cancelled" {
            assert_eq!(ended.word("reason"), "try-refused");
            assert_eq!(ended.branch("a")["last_error"], "result-too-large");
            assert_eq!(ended.branch("b")["status"], "skipped");
            assert!(ended.branch("a").get("result").is_none());
        }
    }
    let calls = participant.calls();
    assert_eq!(calls.iter().filter(|call| call.op == Op::Cancel).count(), 2, "they are cancelled");
    // And all of one transaction: sixteen of 16 KiB, and no byte more.
    for (gid, last, status) in [("all", "", "confirmed"), ("more", "1", "cancelled")] {
        let ids: Vec<String> = (0..17).map(|number| format!("s{number:02}")).collect();
        let steps: Vec<Value> = ids.iter().map(|id| told(step(&participant, id))).collect();
        ids.iter().take(16).for_each(|id| says(&participant, id, &"x".repeat(16 * 1024)));
        says(&participant, &ids[16], last);
        let ended = client.begin("?wait=finished&wait_ms=60000", &saga(gid, &steps)).await;
        transaction(&ended, 201, status);
        let error = &ended.branch(&ids[16])["last_error"];
        assert_eq!(*error == "result-too-large", status == "cancelled", "{error}");
    }
    // Where nobody is told it is read as ever.
    says(&participant, "plain", &"x".repeat(60 * 1024));
    let ended =
        client.begin("?wait=finished", &saga("plain", &[step(&participant, "plain")])).await;
    transaction(&ended, 201, "confirmed");
}

/// Half a result is none, however good the status line was.
#[tokio::test]
async fn a_body_that_does_not_come_whole_in_time_is_no_answer() {
    let (tercet, mut participant) = (Tercet::start().await, RawParticipant::start().await);
    let client = tercet.client();
    let slow = json!({ "id": "slow", "action": participant.url("/slow"), "timeout_ms": 2_000 });
    let last = json!({ "id": "last", "action": participant.url("/last"), "results": true });
    client.begin("?wait=accepted", &saga("trip", &[slow, last])).await;
    let mut first = participant.arrival().await;
    first.write("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n[1,").await.expect("taken");
    let mut second = participant.arrival().await;
    assert_eq!(second.header("tercet-attempt"), Some("2"), "it has run out of time");
    second.write("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n[1,").await.expect("taken");
    second.reset();
    let third = participant.arrival().await;
    assert_eq!(third.header("tercet-attempt"), Some("3"), "it broke off");
    third.answer("200 OK", b"[1,2]").await;
    let last = participant.arrival().await;
    assert_eq!(last.body, b"{\"payload\":{},\"results\":{\"slow\":[1,2]}}");
    last.answer("200 OK", b"").await;
    transaction(&client.finished("trip").await, 200, "confirmed");
    drop(first);
}

#[tokio::test]
async fn whether_results_are_asked_for_is_part_of_what_is_begun() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    let of = |results: Value| {
        let step = with(step(&participant, "a"), json!({ "results": results }));
        saga("trip", &[step])
    };
    transaction(&client.begin("?wait=finished", &of(json!(true))).await, 201, "confirmed");
    transaction(&client.begin("", &of(json!(true))).await, 200, "confirmed");
    problem(&client.begin("", &of(json!(false))).await, "gid-reused", Some("trip"));
    problem(
        &client.begin("", &saga("trip", &[step(&participant, "a")])).await,
        "gid-reused",
        Some("trip"),
    );
    // What goes without saying may be said.
    let plain = saga("plain", &[step(&participant, "a")]);
    transaction(&client.begin("?wait=finished", &plain).await, 201, "confirmed");
    let said = of(json!(false)).replace("trip", "plain");
    transaction(&client.begin("", &said).await, 200, "confirmed");
    let refused = client.begin("", &of(json!("yes"))).await;
    problem(&refused, "invalid-request", None);
    assert!(refused.word("detail").contains("results"), "{}", refused.text);
}

#[tokio::test]
async fn in_an_open_saga_a_step_is_told_of_those_that_were_there() {
    let mut tercet = Tercet::start().await;
    let participant = Participant::start().await;
    says(&participant, "flight", "{\"seat\":\"12A\"}");
    let body = json!({ "gid": "trip", "pattern": "saga", "open": true }).to_string();
    transaction(&tercet.client().begin("", &body).await, 201, "trying");
    let first =
        tercet.client().register("trip", "", &step(&participant, "flight").to_string()).await;
    assert_eq!((first.status, first.word("status")), (201, "tried"), "{}", first.text);
    assert_eq!(first.json["result"], json!({ "seat": "12A" }));
    tercet.kill().await;
    tercet.restart().await;
    let pay = told(step(&participant, "pay")).to_string();
    let second = tercet.client().register("trip", "", &pay).await;
    assert_eq!((second.status, second.word("status")), (201, "tried"), "{}", second.text);
    let expected = "{\"payload\":{},\"results\":{\"flight\":{\"seat\":\"12A\"}}}";
    assert_eq!(self::body(&participant, "pay", Op::Try).await, expected);
    transaction(&tercet.client().confirm("trip", "").await, 200, "confirmed");
}
