//! Calls that bring results, and answers that are kept.

use tercet_engine::{Call, CallResults};
use tercet_wire::{Answer, BranchResult, Op, RESULT_BYTES, SigningKey};

use super::super::{DispatcherSettings, Signing};
use super::inbox::Inbox;
use super::signed::{SECRET, id_if_signed};
use super::{branch, call_of, dispatcher, dispatcher_with};
use crate::secret::Secret;
use tercet_testing::RawParticipant;

/// A Try whose answer is kept.
fn kept(participant: &RawParticipant) -> Call {
    let mut call = call_of(branch(&participant.url("/payment"), "{}"), Op::Try, "order-1001");
    call.results = Some(Box::new(CallResults { brought: None, kept: true }));
    call
}

fn result(body: &[u8]) -> Answer {
    Answer::Result { code: 200, result: BranchResult::of_body(body) }
}

#[tokio::test]
async fn results_are_sent_and_signed_together_with_the_payload() {
    let mut participant = RawParticipant::start().await;
    let key = Secret::new(SECRET.parse::<SigningKey>().expect("a key"));
    let signing = Signing::new([(participant.host_port().parse().expect("a host"), key)]);
    let settings = DispatcherSettings { signing, ..DispatcherSettings::built_in() };
    let (dispatcher, mut inbox) = (dispatcher_with(settings), Inbox::new());
    let mut call =
        call_of(branch(&participant.url("/pay"), "{\"a\": 1.0}"), Op::Confirm, "order-1001");
    let seat = ("flight".parse().expect("an id"), BranchResult::of_body(b"[ 7]"));
    call.results = Some(Box::new(CallResults { brought: Some(vec![seat]), kept: false }));
    inbox.send(&dispatcher, call);
    let arrival = participant.arrival().await;
    let body: &[u8] = b"{\"payload\":{\"a\": 1.0},\"results\":{\"flight\":[ 7]}}";
    assert_eq!(String::from_utf8_lossy(&arrival.body), String::from_utf8_lossy(body));
    assert_eq!(arrival.header("tercet-results"), Some("true"));
    assert_eq!(arrival.header("idempotency-key"), Some(r#""order-1001/payment/confirm""#));
    assert!(id_if_signed(&arrival, body).is_some(), "what is sent is what is signed");
    arrival.answer("200 OK", b"not kept").await;
    let excerpt = "not kept".to_owned();
    let expected = Answer::Status { code: 200, retry_after: None, excerpt };
    assert_eq!(inbox.answer().await, expected);
}

/// Keeps P9.
#[tokio::test]
async fn a_body_that_is_kept_is_read_to_its_bound_and_no_further() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    let full = vec![b'7'; RESULT_BYTES];
    for body in [&b"{\"a\" :1}"[..], b"", b" \n", b"no JSON", b"\xff", &full] {
        inbox.send(&dispatcher, kept(&participant));
        let arrival = participant.arrival().await;
        assert_eq!(arrival.connection, 1, "it is used again");
        assert_eq!(arrival.header("tercet-results"), None, "it asks for nothing");
        arrival.answer("200 OK", body).await;
        assert_eq!(inbox.answer().await, result(body));
    }
    let too_large = vec![b'7'; RESULT_BYTES + 1];
    let expected = Answer::ResultTooLarge { code: 201, excerpt: "7".repeat(1024) };
    inbox.send(&dispatcher, kept(&participant));
    participant.arrival().await.answer("201 Created", &too_large).await;
    assert_eq!(inbox.answer().await, expected);
    // One that has no end has one all the same, and takes its connection with it.
    inbox.send(&dispatcher, kept(&participant));
    let mut arrival = participant.arrival().await;
    assert_eq!(arrival.connection, 1);
    arrival
        .write("HTTP/1.1 201 Created\r\ncontent-length: 100000000\r\n\r\n")
        .await
        .expect("taken");
    while arrival.write(vec![b'7'; 8 * 1024]).await.is_ok() {}
    assert_eq!(inbox.answer().await, expected);
}

#[tokio::test]
async fn what_is_no_success_is_kept_by_nobody() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    for (line, code) in [("202 Accepted", 202), ("409 Conflict", 409), ("503 Busy", 503)] {
        inbox.send(&dispatcher, kept(&participant));
        participant.arrival().await.answer(line, b"[1]").await;
        let expected = Answer::Status { code, retry_after: None, excerpt: "[1]".to_owned() };
        assert_eq!(inbox.answer().await, expected);
    }
}

#[tokio::test]
async fn half_a_result_is_no_answer() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, kept(&participant));
    let mut arrival = participant.arrival().await;
    arrival.write("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n[1").await.expect("taken");
    arrival.reset();
    let broken = inbox.answer().await;
    assert_eq!(broken, Answer::Nothing { why: "answered 200, and broke off".to_owned() });
    let mut call = kept(&participant);
    std::sync::Arc::make_mut(&mut call.branch).timeout = std::time::Duration::from_millis(500);
    inbox.send(&dispatcher, call);
    let mut arrival = participant.arrival().await;
    arrival.write("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n[1").await.expect("taken");
    let late = inbox.answer().await;
    let why = "timeout after 500 ms, the branch's timeout_ms".to_owned();
    assert_eq!(late, Answer::Nothing { why });
}
