//! A node whose writes have not got through for a lease calls no Try.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{Call, DestinationQueueSettings};
use tercet_testing::RawParticipant;
use tercet_wire::{Incarnation, Instance, Mono, Now, Op};

use super::inbox::Inbox;
use super::{
    DispatcherSettings, Outcome, Still, branch, call_of, dispatcher_with, queue, start, with_line,
};
use crate::cluster::OwnLease;
use crate::outbound::{Connector, OutboundSettings};
use crate::traces::Traces;
use crate::workers::Workers;

/// A clock that is set.
#[derive(Default)]
struct Set(AtomicU64);

impl Clock for Set {
    fn now(&self) -> Now {
        Now { mono: Mono(self.0.load(Ordering::SeqCst)), ..Still.now() }
    }

    fn new_instance(&self) -> Instance {
        Still.new_instance()
    }

    fn new_incarnation(&self) -> Incarnation {
        Still.new_incarnation()
    }
}

/// Keeps P8.
#[tokio::test]
async fn no_try_is_sent_after_the_lease_and_what_is_decided_is() {
    let mut participant = RawParticipant::start().await;
    let clock = Arc::new(Set::default());
    let lease = OwnLease::from(Mono(0), Duration::from_secs(2), Arc::clone(&clock) as _);
    let connector = Connector::plain(OutboundSettings::built_in(), Arc::clone(&clock) as _);
    let settings = DispatcherSettings::built_in();
    let dispatcher = start(
        settings,
        connector,
        Workers::here(),
        lease.clone(),
        Traces::off(),
        Arc::clone(&clock) as _,
    );
    let (mut inbox, url) = (Inbox::new(), participant.url("/"));
    let call = |op| -> Call { call_of(branch(&url, "{}"), op, "order-1") };
    for (now, written, op, is_sent) in [
        (2_000, 0, Op::Try, true),
        (2_001, 0, Op::Try, false),
        // Others may have decided the same or not; a decision that is durable is the decision.
        (2_001, 0, Op::Confirm, true),
        (2_001, 0, Op::Cancel, true),
        (2_001, 1, Op::Try, true),
        // What is learned late of an earlier batch takes nothing back.
        (2_001, 0, Op::Try, true),
        (9_000, 1, Op::Try, false),
    ] {
        clock.0.store(now, Ordering::SeqCst);
        lease.written_since(Mono(written));
        inbox.send(&dispatcher, call(op));
        if is_sent {
            participant.arrival().await.answer("200 OK", b"").await;
        }
        let (_, outcome) = inbox.ended().await;
        let expected = if is_sent { "Answered" } else { "NotMade" };
        assert!(format!("{outcome:?}").starts_with(expected), "{now} {op} {outcome:?}");
        assert!(participant.nothing_arrived(), "{now} {op}");
    }
    lease.written_since(Mono(9_000));
    lease.end();
    inbox.send(&dispatcher, call(Op::Try));
    assert_eq!(inbox.ended().await.1, Outcome::NotMade, "this life has left");
}

/// A node that was fenced begins anew in the same process: what its old life had still to call is
/// called by others, and is not called beside them.
#[tokio::test]
async fn what_waits_for_its_turn_when_its_life_ends_is_not_called() {
    let mut participant = RawParticipant::start().await;
    let narrow = DestinationQueueSettings { concurrency: 1, ..queue() };
    let (dispatcher, mut inbox) = (dispatcher_with(with_line(narrow)), Inbox::new());
    let url = participant.url("/");
    for gid in ["under-way", "waits-1", "waits-2"] {
        inbox.send(&dispatcher, call_of(branch(&url, "{}"), Op::Confirm, gid));
    }
    let under_way = participant.arrival().await;
    dispatcher.end();
    assert_eq!(dispatcher.waiting(), 0);
    under_way.answer("200 OK", b"").await;
    assert_eq!(inbox.ended().await.0.gid.as_str(), "under-way");
    // Its turn is free, and nobody has taken it.
    inbox.send(&dispatcher, call_of(branch(&url, "{}"), Op::Confirm, "next"));
    let next = participant.arrival().await;
    assert_eq!(next.header("tercet-gid"), Some("next"));
    assert!(participant.nothing_arrived());
}
