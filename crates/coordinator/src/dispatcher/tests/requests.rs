//! What participants are sent.

use tercet_wire::Op;

use super::inbox::Inbox;
use super::{branch, call_of, dispatcher};
use tercet_testing::RawParticipant;

#[tokio::test]
async fn a_try_carries_every_header_of_the_contract_and_no_other() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    let mut branch = branch(&participant.url("/payment/try?shop=1"), r#"{"amount": 4200}"#);
    branch.headers.insert("x-tenant".to_owned(), "eu".to_owned());
    inbox.send(&dispatcher, call_of(branch, Op::Try, "order-1001"));

    let arrival = participant.arrival().await;
    assert_eq!(arrival.request_line, "POST /payment/try?shop=1 HTTP/1.1");
    let version = concat!("tercet/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("content-length", "16"),
        ("content-type", "application/json"),
        ("host", participant.host_port()),
        ("idempotency-key", r#""order-1001/payment/try""#),
        ("tercet-attempt", "2"),
        ("tercet-branch", "payment"),
        ("tercet-deadline", "1994-11-06T08:50:07.000Z"),
        ("tercet-gid", "order-1001"),
        ("tercet-instance", super::INSTANCE),
        ("tercet-legs", "try,confirm,cancel"),
        ("tercet-op", "try"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("user-agent", version),
        ("x-tenant", "eu"),
    ];
    let sent: Vec<(&str, &str)> =
        arrival.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(sent, expected);
    arrival.answer("200 OK", b"").await;
    inbox.next().await;
}

#[tokio::test]
async fn confirm_and_cancel_have_no_deadline_and_a_key_of_their_own() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    for (op, key) in [
        (Op::Confirm, r#""order-1001/payment/confirm""#),
        (Op::Cancel, r#""order-1001/payment/cancel""#),
    ] {
        let branch = branch(&participant.url("/payment"), "{}");
        inbox.send(&dispatcher, call_of(branch, op, "order-1001"));
        let arrival = participant.arrival().await;
        assert_eq!(arrival.header("tercet-op"), Some(op.as_str()));
        assert_eq!(arrival.header("tercet-deadline"), None);
        assert_eq!(arrival.header("idempotency-key"), Some(key));
        arrival.answer("200 OK", b"").await;
        inbox.next().await;
    }
}

#[tokio::test]
async fn the_payload_is_sent_to_the_byte_as_it_came() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    for payload in ["{}", "null", "{ \"b\" :1.50,\n\t\"a\":\"\\u00e9 é\" ,\"b\":2}", "\"\""] {
        let branch = branch(&participant.url("/payment"), payload);
        inbox.send(&dispatcher, call_of(branch, Op::Try, "order-1001"));
        let arrival = participant.arrival().await;
        assert_eq!(String::from_utf8_lossy(&arrival.body), payload);
        arrival.answer("200 OK", b"").await;
        inbox.next().await;
    }
}

#[tokio::test]
async fn a_branch_cannot_speak_in_the_coordinators_name() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    let mut branch = branch(&participant.url("/payment"), "{}");
    for name in ["tercet-gid", "idempotency-key", "traceparent", "content-type"] {
        branch.headers.insert(name.to_owned(), "forged".to_owned());
    }
    inbox.send(&dispatcher, call_of(branch, Op::Try, "order-1001"));
    let arrival = participant.arrival().await;
    let forged: Vec<_> = arrival.headers.iter().filter(|(_, value)| value == "forged").collect();
    assert!(forged.is_empty(), "{forged:?}");
    assert_eq!(arrival.header("tercet-gid"), Some("order-1001"));
    arrival.answer("200 OK", b"").await;
    inbox.next().await;
}
