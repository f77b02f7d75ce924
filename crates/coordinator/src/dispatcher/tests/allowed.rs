//! Who may be called is decided where the connection is made.

use std::sync::Arc;

use tercet_wire::{Answer, CallRules, Op};
use tokio::net::TcpListener;

use super::inbox::Inbox;
use super::{Dispatcher, DispatcherSettings, branch, call, call_of, dispatcher_with};
use tercet_testing::RawParticipant;

fn within(allow: &[&str], deny: &[&str]) -> Dispatcher {
    let read = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
    let call_rules = Arc::new(CallRules::new(read(allow), read(deny), true));
    dispatcher_with(DispatcherSettings { call_rules, ..DispatcherSettings::built_in() })
}

fn not_allowed(why: &str) -> Answer {
    Answer::NotAllowed { why: why.to_owned() }
}

const DENIED: &str = "leads to 127.0.0.0/8, which participants.deny names";

#[tokio::test]
async fn a_denied_address_is_not_connected_to_by_any_name_or_spelling() {
    let mut participant = RawParticipant::start().await;
    let port = participant.host_port().rsplit_once(':').expect("a port").1.to_owned();
    let (dispatcher, mut inbox) = (within(&[], &["127.0.0.0/8", "::1"]), Inbox::new());
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"] {
        for op in Op::ALL {
            let branch = branch(&format!("http://{host}:{port}/pay"), "{}");
            let answer = inbox.ask(&dispatcher, call_of(branch, op, "a1")).await;
            assert_eq!(answer, not_allowed(DENIED), "{host} {op}");
        }
    }
    // Whichever of its addresses is said: none may be connected to.
    for host in ["localhost", "LocalHost.", "anything.localhost"] {
        let answer = inbox.ask(&dispatcher, call(&format!("http://{host}:{port}/pay"), "a1")).await;
        let Answer::NotAllowed { why } = answer else { panic!("{host}: {answer:?}") };
        assert!(why.ends_with("which participants.deny names"), "{why}");
    }
    assert!(participant.nothing_arrived());
}

#[tokio::test]
async fn of_several_addresses_of_a_name_those_that_may_be_are_called() {
    let mut participant = RawParticipant::start().await;
    let port = participant.host_port().rsplit_once(':').expect("a port").1.to_owned();
    // Where the other is denied, and where this one alone is allowed.
    for dispatcher in [within(&[], &["::1"]), within(&["127.0.0.0/8"], &[])] {
        let mut inbox = Inbox::new();
        inbox.send(&dispatcher, call(&format!("http://localhost:{port}/pay"), "a1"));
        participant.arrival().await.answer("200 OK", b"").await;
        assert!(matches!(inbox.answer().await, Answer::Status { code: 200, .. }));
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_allowed_is_not_even_looked_up() {
    let (dispatcher, mut inbox) = (within(&["*.internal"], &["old.internal"]), Inbox::new());
    // None of these exists; to look them up would say so.
    for (host, why) in [
        ("nobody.invalid", "leads to nobody whom participants.allow names"),
        ("old.internal", "leads to old.internal, which participants.deny names"),
    ] {
        let answer = inbox.ask(&dispatcher, call(&format!("http://{host}/pay"), "a1")).await;
        assert_eq!(answer, not_allowed(why), "{host}");
    }
}

#[tokio::test]
async fn a_refusal_says_nothing_of_the_participant() {
    // Whoever listens there answers nobody.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/pay", listener.local_addr().expect("an address"));
    let (dispatcher, mut inbox) = (within(&[], &["127.0.0.1"]), Inbox::new());
    for n in 0..20 {
        let answer = inbox.ask(&dispatcher, call(&url, &format!("a{n}"))).await;
        assert_eq!(answer, not_allowed("leads to 127.0.0.1, which participants.deny names"));
    }
    let [health] = &dispatcher.participants()[..] else { panic!("one participant") };
    assert_eq!(health.breaker, tercet_engine::BreakerState::Closed);
    assert_eq!(health.answers.permanent_error, 20);
}
