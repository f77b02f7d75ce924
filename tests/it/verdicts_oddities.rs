//! Answers that are no plain status: bodies that speak, pauses that are asked for, redirects,
//! and no answer at all.

use std::time::Duration;

use serde_json::json;
use tercet_testing::{Gate, Participant, Reaction, Tercet};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch, with};

#[tokio::test]
async fn a_body_never_changes_what_the_status_says() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    for op in Op::ALL {
        let failure = r#"{"status":"FAILURE","dtm_result":"FAILURE"}"#;
        participant.always("stock", op, Reaction::status(200).body(failure));
    }
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let ended = tercet.client().begin("", &body).await;
    assert_eq!((ended.status, ended.word("status")), (201, "confirmed"), "{}", ended.text);
    let attempts = &ended.branch("stock")["attempts"];
    assert_eq!(attempts, &json!({"try": 1, "confirm": 1, "cancel": 0}));
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_keep_its_verdict() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let long = "x".repeat(8 * 1_024 * 1_024);
    participant.next("stock", Op::Try, [Reaction::status(409).body(&long)]);
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let ended = tercet.client().begin("", &body).await;
    assert_eq!(ended.word("status"), "cancelled");
    let answer = &ended.branch("stock")["answer"];
    assert_eq!(answer["status"], 409);
    assert_eq!(answer["body"].as_str().map(str::len), Some(1_024), "an excerpt of 1 KiB");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let elsewhere = Participant::start().await;
    for (op, status) in [(Op::Try, 302), (Op::Confirm, 307)] {
        let redirect = Reaction::status(status).header("location", &elsewhere.url("/trap"));
        participant.next("stock", op, [redirect]);
    }
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let ended = tercet.client().begin("", &body).await;
    assert_eq!(ended.word("status"), "confirmed", "{}", ended.text);
    let attempts = &ended.branch("stock")["attempts"];
    assert_eq!(attempts, &json!({"try": 2, "confirm": 2, "cancel": 0}));
    assert_eq!(elsewhere.calls(), []);
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_doubt_and_asked_again() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    for op in [Op::Try, Op::Confirm] {
        participant.next("stock", op, [Reaction::close(), Reaction::close()]);
    }
    let body = begin("order-1", &[branch(&participant, "stock")]);
    let ended = tercet.client().begin("", &body).await;
    assert_eq!(ended.word("status"), "confirmed", "{}", ended.text);
    for op in [Op::Try, Op::Confirm] {
        let calls = participant.calls_of("stock", op);
        let attempts: Vec<u32> = calls.iter().map(|call| call.attempt).collect();
        // The connection of the Try is kept. That it is closed when Confirm comes is no attempt;
        // that the fresh one is, by which it is sent again, is one.
        let expected = if op == Op::Try { [1, 2, 3] } else { [1, 1, 2] };
        assert_eq!(attempts, expected, "{op}");
    }
}

#[tokio::test]
async fn an_answer_after_the_timeout_of_the_call_is_no_answer() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let never = Gate::closed();
    for op in [Op::Try, Op::Confirm] {
        participant.next("stock", op, [Reaction::status(200).behind(&never)]);
    }
    // Enough for a busy machine to answer the calls that are not held.
    let hasty = with(branch(&participant, "stock"), json!({ "timeout_ms": 1_500 }));
    let ended = tercet.client().begin("", &begin("order-1", &[hasty])).await;
    assert_eq!(ended.word("status"), "confirmed", "{}", ended.text);
    let attempts = &ended.branch("stock")["attempts"];
    assert_eq!(attempts, &json!({"try": 2, "confirm": 2, "cancel": 0}));
    let events = tercet.client().events("order-1").await;
    assert!(events.text.contains("timeout after 1500 ms"), "{}", events.text);
}

#[tokio::test]
async fn a_try_that_is_always_too_late_cancels_and_says_that_no_status_came() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    participant.always("stock", Op::Try, Reaction::status(200).behind(&Gate::closed()));
    // Enough for a busy machine to be called at all.
    let hasty = with(branch(&participant, "stock"), json!({ "timeout_ms": 500 }));
    let ended = tercet.client().begin("", &begin("order-1", &[hasty])).await;
    assert_eq!((ended.word("status"), ended.word("reason")), ("cancelled", "try-failed"));
    let answer = &ended.branch("stock")["answer"];
    assert!(answer["status"].is_null() && answer["body"].is_string(), "{answer}");
    assert_eq!(participant.calls_of("stock", Op::Try).len(), 3);
    // The participant's own answer may be too late for so short a timeout.
    assert!(!participant.calls_of("stock", Op::Cancel).is_empty());
}

#[tokio::test]
async fn a_participant_that_is_down_is_doubt_and_confirm_reaches_it_when_it_returns() {
    let settings = [("RETRY__MAX_BACKOFF_MS", "50")];
    let (tercet, mut participant) =
        (Tercet::start_with(&settings).await, Participant::start().await);
    let client = tercet.client();
    let body = begin_open("order-1", &[branch(&participant, "stock")]);
    assert_eq!(client.begin("", &body).await.status, 201);
    participant.called("stock", Op::Try, 1).await;
    let tried = client.register("order-1", "", &branch(&participant, "stock").to_string()).await;
    assert_eq!(tried.word("status"), "tried");
    participant.stop().await;
    let body = begin("order-2", &[branch(&participant, "stock")]);
    let refused = client.begin("?wait=decided", &body).await;
    assert_eq!((refused.status, refused.word("status")), (201, "cancelling"), "{}", refused.text);
    assert_eq!(refused.word("reason"), "try-failed", "{}", refused.text);
    let confirming = client.confirm("order-1", "?wait_ms=20").await;
    assert_eq!((confirming.status, confirming.word("status")), (202, "confirming"));
    client.event("order-1", "call-failed").await;
    let confirming = client.get("order-1").await;
    assert_eq!(confirming.word("status"), "confirming");
    assert!(confirming.branch("stock")["last_error"].is_string(), "{}", confirming.text);
    participant.restart().await;
    assert_eq!(client.finished("order-1").await.word("status"), "confirmed");
    assert_eq!(client.finished("order-2").await.word("status"), "cancelled");
}

#[tokio::test]
async fn a_call_in_progress_is_asked_again_after_a_second_unless_it_says_when() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let progress = Reaction::status(202);
    participant.next("silent", Op::Try, [progress.clone()]);
    participant.next("soon", Op::Try, [progress.clone().header("retry-after", "0")]);
    participant.next("busy", Op::Try, [Reaction::status(503).header("retry-after", "1")]);
    participant.next("error", Op::Try, [Reaction::status(500).header("retry-after", "60")]);
    let ids = ["silent", "soon", "busy", "error"];
    let branches = ids.map(|id| branch(&participant, id));
    let ended = tercet.client().begin("", &begin("order-1", &branches)).await;
    assert_eq!(ended.word("status"), "confirmed", "{}", ended.text);
    let pause = |id: &str| {
        let calls = participant.calls_of(id, Op::Try);
        calls[1].at.duration_since(calls[0].at)
    };
    let (least, second) = (Duration::from_millis(100), Duration::from_secs(1));
    assert!(pause("silent") >= second, "{:?}", pause("silent"));
    assert!(pause("busy") >= second, "{:?}", pause("busy"));
    assert!(pause("soon") >= least, "{:?}", pause("soon"));
    // On a busy machine every call is late, but none overtakes one that is due most of a second before.
    // What a 500 asks for is not honoured.
    let again = |id: &str| participant.calls_of(id, Op::Try)[1].at;
    let seconds = again("silent").min(again("busy"));
    assert!(again("soon") < seconds && again("error") < seconds, "{:#?}", participant.calls());
}

#[tokio::test]
async fn no_participant_can_ask_for_a_pause_of_more_than_a_minute() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.next("stock", Op::Confirm, [Reaction::status(503).header("retry-after", "86400")]);
    let body = begin("order-1", &[branch(&participant, "stock")]);
    client.begin("?wait=accepted", &body).await;
    participant.called("stock", Op::Confirm, 1).await;
    let failed = client.event("order-1", "call-failed").await;
    let shown = client.get("order-1").await;
    let next = shown.branch("stock")["next_attempt_at"].as_str().expect("it is called again");
    let at = failed["at"].as_str().expect("when it failed");
    let pause_ms = millis(next) - millis(at);
    // One is read from the clock that people read, the other reckoned from the steady one.
    // A busy machine may do something else between the two.
    assert!((58_000..=62_000).contains(&pause_ms), "{pause_ms} ms: {}", shown.text);
}

fn millis(text: &str) -> i64 {
    let wall: tercet_wire::Wall = text.parse().expect("RFC 3339");
    wall.0
}
