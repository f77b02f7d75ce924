//! Calls to those who share a secret are signed, and no others.

use tercet_wire::{Op, Signed, SigningKey, Wall};

use super::super::Signing;
use super::inbox::Inbox;
use super::{Dispatcher, DispatcherSettings, branch, call_of, dispatcher_with};
use crate::secret::Secret;
use tercet_testing::{Arrival, RawParticipant};

pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// That of the clock that stands still.
const NOW: Wall = Wall(784_111_777_000);

fn signing_for(host: &str) -> Dispatcher {
    let key = Secret::new(SECRET.parse::<SigningKey>().expect("a key"));
    let signing = Signing::new([(host.parse().expect("a host"), key)]);
    dispatcher_with(DispatcherSettings { signing, ..DispatcherSettings::built_in() })
}

pub(super) fn id_if_signed(arrival: &Arrival, body: &[u8]) -> Option<String> {
    let signed = Signed::read(|name| arrival.header(name)).ok()?;
    let keys = [SECRET.parse().expect("a key")];
    assert_eq!(signed.check_time(NOW), Ok(()));
    assert_eq!(signed.check_signature(&keys, body), Ok(()));
    Some(signed.id.to_owned())
}

#[tokio::test]
async fn a_call_is_signed_and_its_repeat_has_the_same_id() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (signing_for(participant.host_port()), Inbox::new());
    let mut ids = Vec::new();
    for op in [Op::Try, Op::Try, Op::Confirm] {
        let mut branch = branch(&participant.url("/payment"), r#"{"amount": 4200}"#);
        // It cannot speak in our name.
        branch.headers.insert("webhook-signature".to_owned(), "v1,theirs".to_owned());
        inbox.send(&dispatcher, call_of(branch, op, "order.1001"));
        let arrival = participant.arrival().await;
        ids.push(id_if_signed(&arrival, br#"{"amount": 4200}"#).expect("signed"));
        assert_eq!(
            arrival.headers.iter().filter(|(name, _)| name == "webhook-signature").count(),
            1
        );
        arrival.answer("200 OK", b"").await;
        inbox.next().await;
    }
    let id = |op| format!("order%2E1001/payment/{op}/{}", super::INSTANCE);
    assert_eq!(ids, [id("try"), id("try"), id("confirm")]);
}

#[tokio::test]
async fn calls_to_others_are_not_signed() {
    let mut participant = RawParticipant::start().await;
    for host in ["127.0.0.1:1", "localhost", "payment.internal:7302"] {
        let (dispatcher, mut inbox) = (signing_for(host), Inbox::new());
        let branch = branch(&participant.url("/payment"), "{}");
        inbox.send(&dispatcher, call_of(branch, Op::Try, "order-1001"));
        let arrival = participant.arrival().await;
        assert_eq!(id_if_signed(&arrival, b"{}"), None, "{host}");
        arrival.answer("200 OK", b"").await;
        inbox.next().await;
    }
}

#[test]
fn the_keys_are_in_no_print() {
    let key = Secret::new(SECRET.parse::<SigningKey>().expect("a key"));
    let signing = Signing::new([("a".parse().expect("a host"), key)]);
    let shown = format!("{signing:?}");
    assert!(!shown.contains("MfKQ9") && shown.contains("***"), "{shown}");
}
