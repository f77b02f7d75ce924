//! A participant that does not answer, and one that does again.

use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{
    BreakerSettings, BreakerState, CapacityFreed, Destination, DestinationQueueSettings,
};
use tercet_wire::{Answer, Op};

use super::super::Dispatcher;
use super::inbox::Inbox;
use super::{branch, call, call_of, dispatcher_by, queue, soon, with_line};
use crate::outbound::OutboundSettings;
use crate::outbound::tests::Hand;
use tercet_testing::RawParticipant;

const PROBE_INTERVAL_MS: u64 = 20;

/// A dispatcher with room for four that wait; by its clock it probes often.
fn dispatcher() -> (Dispatcher, Arc<Hand>) {
    let probe_interval = Duration::from_millis(PROBE_INTERVAL_MS);
    let breaker = BreakerSettings { probe_interval, ..queue().breaker };
    let settings = with_line(DestinationQueueSettings { breaker, queue_entries: 4, ..queue() });
    let clock = Arc::new(Hand::default());
    let outbound = OutboundSettings::built_in();
    let dispatcher = dispatcher_by(settings, outbound, Arc::clone(&clock) as Arc<dyn Clock>);
    (dispatcher, clock)
}

const DOWN: &str = "503 Service Unavailable";

/// Has five transactions fail one after the other, each by a connection of its own: none is
/// kept after such an answer.
async fn fail(participant: &mut RawParticipant, dispatcher: &Dispatcher, inbox: &mut Inbox) {
    for gid in ["f1", "f2", "f3", "f4", "f5"] {
        inbox.send(dispatcher, call(&participant.url("/payment"), gid));
        participant.arrival().await.answer(DOWN, b"").await;
        inbox.next().await;
    }
    assert_eq!(dispatcher.participants()[0].breaker, BreakerState::Open);
}

/// Keeps P6.
#[tokio::test]
async fn a_probe_goes_by_a_connection_of_its_own_and_each_is_another_call() {
    let mut participant = RawParticipant::start().await;
    let ((dispatcher, clock), mut inbox) = (dispatcher(), Inbox::new());
    fail(&mut participant, &dispatcher, &mut inbox).await;
    let url = participant.url("/payment");
    for gid in ["a1", "a2", "a3"] {
        inbox.send(&dispatcher, call(&url, gid));
    }
    for (gid, connection) in [("a1", 6), ("a2", 7)] {
        clock.forward(PROBE_INTERVAL_MS);
        let probe = participant.arrival().await;
        assert_eq!((probe.header("tercet-gid"), probe.connection), (Some(gid), connection));
        assert!(participant.nothing_arrived(), "one at a time");
        probe.answer(DOWN, b"").await;
        assert_eq!(inbox.next().await.0.gid.as_str(), gid);
    }
    clock.forward(PROBE_INTERVAL_MS);
    participant.arrival().await.answer("200 OK", b"").await;
    inbox.next().await;
    // It is well: the connections that are kept are used again.
    inbox.send(&dispatcher, call(&url, "a4"));
    let arrival = participant.arrival().await;
    assert_eq!(arrival.connection, 8, "the one by which it was found to be well");
    arrival.answer("200 OK", b"").await;
    inbox.next().await;
}

/// Keeps P6.
#[tokio::test]
async fn no_kept_connection_is_used_once_the_breaker_has_opened() {
    let mut participant = RawParticipant::start().await;
    let ((dispatcher, _), mut inbox) = (dispatcher(), Inbox::new());
    let mut under_way = Vec::new();
    for n in 0..7 {
        inbox.send(&dispatcher, call(&participant.url("/payment"), &format!("a{n}")));
        under_way.push(participant.arrival().await);
    }
    for arrival in under_way {
        arrival.answer("200 OK", b"").await;
        inbox.next().await;
    }
    // Of seven that are kept, five see it fail; the other two lead to the same place.
    fail(&mut participant, &dispatcher, &mut inbox).await;
    inbox.send(&dispatcher, call(&participant.url("/inventory"), "b1"));
    let arrival = participant.arrival().await;
    assert_eq!(arrival.connection, 8);
    arrival.answer("200 OK", b"").await;
    inbox.next().await;
}

#[tokio::test]
async fn a_try_behind_an_open_breaker_is_answered_after_its_timeout() {
    let mut participant = RawParticipant::start().await;
    let ((dispatcher, clock), mut inbox) = (dispatcher(), Inbox::new());
    fail(&mut participant, &dispatcher, &mut inbox).await;
    let url = participant.url("/payment");
    inbox.send(&dispatcher, call(&url, "a1"));
    clock.forward(PROBE_INTERVAL_MS);
    let probe = participant.arrival().await;
    let mut impatient = branch(&url, "{}");
    impatient.timeout = Duration::from_millis(50);
    inbox.send(&dispatcher, call_of(impatient, Op::Try, "a2"));
    clock.forward(50);
    let (ticket, answer) = inbox.next().await;
    assert_eq!(ticket.gid.as_str(), "a2");
    let why = format!("{url} does not answer: waited 50 ms behind its open breaker");
    assert_eq!(answer, Answer::Nothing { why });
    assert!(participant.nothing_arrived(), "it was not sent");
    probe.answer("200 OK", b"").await;
    inbox.next().await;
}

#[tokio::test]
async fn a_destination_that_answers_again_is_told_once_and_one_that_has_room_when_asked() {
    let mut participant = RawParticipant::start().await;
    let ((dispatcher, clock), mut inbox) = (dispatcher(), Inbox::new());
    let capacity = dispatcher.capacity();
    fail(&mut participant, &dispatcher, &mut inbox).await;
    let url = participant.url("/payment");
    for gid in ["a1", "a2", "a3", "a4"] {
        inbox.send(&dispatcher, call(&url, gid));
    }
    let full = dispatcher.send(call(&url, "a5"), inbox.place()).expect_err("four wait");
    dispatcher.notify_when_free(&full.destination);
    let destination = Destination::of(&url.parse().expect("a URL"), 1);
    clock.forward(PROBE_INTERVAL_MS);
    let probe = participant.arrival().await;
    let told = soon("room", capacity.next()).await;
    assert_eq!(told, CapacityFreed { destination: destination.clone(), places: 1, healed: false });
    probe.answer("200 OK", b"").await;
    let told = soon("that it is healed", capacity.next()).await;
    assert!(told.healed && told.places > 0, "{told:?}");
    for _ in 0..3 {
        participant.arrival().await.answer("200 OK", b"").await;
    }
    for _ in 0..4 {
        inbox.next().await;
    }
    assert_eq!(capacity.take(), None);

    // One that nothing is known of has all the room there is.
    let stranger = Destination::of(&"http://h/".parse().expect("a URL"), 1);
    dispatcher.notify_when_free(&stranger);
    assert_eq!(capacity.take().map(|freed| freed.destination), Some(stranger));
}

#[tokio::test]
async fn participants_are_shown_with_the_worst_of_their_destinations() {
    let mut participant = RawParticipant::start().await;
    let ((dispatcher, _), mut inbox) = (dispatcher(), Inbox::new());
    fail(&mut participant, &dispatcher, &mut inbox).await;
    // Another service behind the same host is called as ever.
    inbox.send(&dispatcher, call(&participant.url("/inventory"), "b1"));
    let held = participant.arrival().await;
    inbox.send(&dispatcher, call(&participant.url("/payment"), "a1"));
    let shown = dispatcher.participants();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].participant, participant.host_port());
    assert_eq!((shown[0].calls, shown[0].failures), (5, 5));
    assert_eq!(shown[0].in_flight + shown[0].waiting, 2);
    assert_eq!(shown[0].breaker, BreakerState::Open);
    assert!(shown[0].open_since.is_some(), "whatever becomes of the other");
    held.answer("200 OK", b"").await;
}
