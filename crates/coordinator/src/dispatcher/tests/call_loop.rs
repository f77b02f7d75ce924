//! Whose turn it is, and that nobody waits for a stranger.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tercet_clock::Clock;
use tercet_engine::DestinationQueueSettings;
use tercet_wire::{Answer, Incarnation, Instance, Now, Op, PerOp};

use super::super::{DispatcherSettings, start};
use super::inbox::Inbox;
use super::{Outcome, Still, branch, call, call_of, dispatcher, dispatcher_with, queue, with_line};
use crate::cluster::OwnLease;
use crate::outbound::{Connector, OutboundSettings};
use crate::traces::Traces;
use crate::workers::Workers;
use tercet_testing::RawParticipant;

fn narrow() -> DispatcherSettings {
    with_line(DestinationQueueSettings { concurrency: 2, queue_entries: 2, ..queue() })
}

/// Keeps P6.
#[tokio::test]
async fn a_destination_has_so_many_calls_under_way_so_many_waiting_and_no_more() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher_with(narrow()), Inbox::new());
    let url = participant.url("/payment");
    for gid in ["a1", "a2", "a3", "a4"] {
        inbox.send(&dispatcher, call(&url, gid));
    }
    let full = dispatcher.send(call(&url, "a5"), inbox.place()).expect_err("the queue is full");
    assert_eq!(full.ticket.gid.as_str(), "a5");
    assert_eq!(full.destination.as_str(), url);
    // The place is still good for something else.
    let _ = full.place.send((full.ticket, Outcome::NotMade));
    assert_eq!(inbox.ended().await.0.gid.as_str(), "a5");

    let under_way = [participant.arrival().await, participant.arrival().await];
    let mut gids: Vec<&str> =
        under_way.iter().filter_map(|arrival| arrival.header("tercet-gid")).collect();
    gids.sort_unstable();
    assert_eq!(gids, ["a1", "a2"]);
    assert!(participant.nothing_arrived());

    // Each that ends lets the next begin, in the order they came, and makes room in the queue.
    let [first, second] = under_way;
    first.answer("200 OK", b"").await;
    let third = participant.arrival().await;
    assert_eq!(third.header("tercet-gid"), Some("a3"));
    inbox.next().await;
    inbox.send(&dispatcher, call(&url, "a6"));
    dispatcher.send(call(&url, "a7"), inbox.place()).expect_err("full again");
    second.answer("200 OK", b"").await;
    let fourth = participant.arrival().await;
    assert_eq!(fourth.header("tercet-gid"), Some("a4"));
    inbox.next().await;
    third.answer("200 OK", b"").await;
    fourth.answer("200 OK", b"").await;
    let last = participant.arrival().await;
    assert_eq!(last.header("tercet-gid"), Some("a6"));
    last.answer("200 OK", b"").await;
    for _ in 0..3 {
        inbox.next().await;
    }
    assert!(inbox.is_empty());
    assert_eq!(inbox.free(), 256, "every place was used or given back");
}

/// Keeps P9.
#[tokio::test]
async fn a_queue_is_bounded_in_bytes_too() {
    let mut participant = RawParticipant::start().await;
    let settings =
        with_line(DestinationQueueSettings { concurrency: 1, queue_bytes: 10, ..queue() });
    let (dispatcher, mut inbox) = (dispatcher_with(settings), Inbox::new());
    let url = participant.url("/payment");
    let sized = |gid: &str, len: usize| call_of(branch(&url, &"1".repeat(len)), Op::Try, gid);
    // What is sent at once does not wait, so its size does not count.
    inbox.send(&dispatcher, sized("a1", 1_000));
    inbox.send(&dispatcher, sized("a2", 6));
    dispatcher.send(sized("a3", 5), inbox.place()).expect_err("11 bytes");
    inbox.send(&dispatcher, sized("a4", 4));
    for _ in 0..3 {
        participant.arrival().await.answer("200 OK", b"").await;
        inbox.next().await;
    }
    // Nothing waits any more, so there is room for as much again.
    inbox.send(&dispatcher, sized("a5", 1));
    inbox.send(&dispatcher, sized("a6", 10));
    for _ in 0..2 {
        participant.arrival().await.answer("200 OK", b"").await;
        inbox.next().await;
    }
}

/// Keeps P6.
#[tokio::test]
async fn a_destination_that_does_not_answer_delays_no_other() {
    let mut stuck = RawParticipant::start().await;
    let mut well = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher_with(narrow()), Inbox::new());
    for gid in ["a1", "a2", "a3", "a4"] {
        inbox.send(&dispatcher, call(&stuck.url("/payment"), gid));
    }
    let held = [stuck.arrival().await, stuck.arrival().await];
    for gid in ["b1", "b2", "b3"] {
        // Another host, and another service behind the same host.
        inbox.send(&dispatcher, call(&well.url("/inventory"), gid));
        well.arrival().await.answer("200 OK", b"").await;
        assert_eq!(inbox.next().await.0.gid.as_str(), gid);
        inbox.send(&dispatcher, call(&stuck.url("/inventory"), gid));
        stuck.arrival().await.answer("200 OK", b"").await;
        assert_eq!(inbox.next().await.0.gid.as_str(), gid);
    }
    assert!(inbox.is_empty(), "nothing came from the one that holds its calls");
    drop(held);
}

/// A clock in which somebody left a bug, met by whoever asks in the middle of a call: it is
/// asked twice to take two calls in, then within a call and after it, in turn.
#[derive(Default)]
struct Broken {
    asked: AtomicUsize,
}

impl Clock for Broken {
    fn now(&self) -> Now {
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 | 1 | 3 | 5 => Now::default(),
            _ => panic!("a bug in the coordinator"),
        }
    }

    fn new_instance(&self) -> Instance {
        Instance::new(uuid::Uuid::nil())
    }

    fn new_incarnation(&self) -> Incarnation {
        Incarnation(1)
    }
}

#[tokio::test]
async fn a_panic_within_a_call_is_answered_and_passes_the_turn_on() {
    let participant = RawParticipant::start().await;
    let settings = with_line(DestinationQueueSettings { concurrency: 1, ..queue() });
    let connector = Connector::plain(OutboundSettings::built_in(), Arc::new(Still));
    let dispatcher = start(
        settings,
        connector,
        Workers::here(),
        OwnLease::endless(),
        Traces::off(),
        Arc::new(Broken::default()),
    );
    let mut inbox = Inbox::new();
    for gid in ["a1", "a2"] {
        inbox.send(&dispatcher, call(&participant.url("/payment"), gid));
    }
    for gid in ["a1", "a2"] {
        let (ticket, answer) = inbox.next().await;
        assert_eq!(ticket.gid.as_str(), gid);
        let why = "the coordinator failed to make the call".to_owned();
        assert_eq!(answer, Answer::Nothing { why });
    }
    assert_eq!(inbox.free(), 256);
}

#[tokio::test]
async fn a_leg_without_a_url_is_answered_rather_than_lost() {
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    let mut branch = branch("http://127.0.0.1:1/", "{}");
    branch.urls = PerOp::default();
    let answer = inbox.ask(&dispatcher, call_of(branch, Op::Cancel, "a1")).await;
    assert_eq!(answer, Answer::Nothing { why: "the branch has no URL for cancel".to_owned() });
}
