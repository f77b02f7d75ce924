//! What a life knows of its own last batch, by its looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tercet_clock::{Clock, SystemClock};
use tercet_engine::{LifeRow, LifeState};
use tercet_journal::{Journal, JournalSettings, MemoryRows};
use tercet_wire::{Incarnation, Instance, Mono, Now};
use tokio::sync::mpsc;

use crate::alerts::Alerts;
use crate::cluster::{Chunks, ClusterSettings, Life, News, OwnLease, Sightings, Watching};
use crate::metrics::ClusterMetrics;

/// A clock that is set.
#[derive(Default)]
struct Set(AtomicU64);

impl Clock for Set {
    fn now(&self) -> Now {
        Now { mono: Mono(self.0.load(Ordering::SeqCst)), ..Now::default() }
    }

    fn new_instance(&self) -> Instance {
        SystemClock::start().new_instance()
    }

    fn new_incarnation(&self) -> Incarnation {
        Incarnation(7)
    }
}

/// A process that stood still hears of a batch long after it was written: what was seen at one look
/// is dated back to the look before.
///
/// Keeps P8.
#[tokio::test]
async fn a_batch_is_dated_back_to_the_look_before_it_was_seen() {
    let own = Incarnation(7);
    let (tell, _events) = mpsc::unbounded_channel();
    let clock = Arc::new(Set::default());
    let rows = MemoryRows::of_several_nodes();
    let settings = JournalSettings::new("", "first", own);
    let journal = Journal::in_memory(&rows, settings, tell, Arc::clone(&clock) as _).await;
    let lease = OwnLease::from(Mono(0), Duration::from_secs(2), Arc::clone(&clock) as _);
    let life = Life {
        incarnation: own,
        began: Mono(0),
        journal: journal.expect("a thread"),
        lease: lease.clone(),
        look: Arc::default(),
    };
    let settings = ClusterSettings {
        node_id: "first".to_owned(),
        heartbeat: Duration::from_millis(500),
        lease: Duration::from_secs(2),
        step_within: Duration::from_secs(5),
    };
    let news = News::new(Alerts::off(), ClusterMetrics::register());
    let (chunks, seen) = (Arc::new(Chunks::default()), Sightings::default());
    let mut watching = Watching::new(life, settings, chunks, seen, news, Arc::clone(&clock) as _);
    use LifeState::{Fenced, Live};
    for (asked, batch_no, state, age) in [
        (500, 1, Live, 500),
        (1_000, 2, Live, 500),
        // None was written in between.
        (1_500, 2, Live, 1_000),
        (2_000, 3, Live, 500),
        // It stood still, and what it had sent was written.
        (9_000, 4, Live, 7_000),
        (9_500, 5, Live, 500),
        // What counts a fenced life's row up is no batch of its own.
        (10_000, 6, Fenced, 1_000),
    ] {
        clock.0.store(asked, Ordering::SeqCst);
        let row = LifeRow { incarnation: own, node_id: "first".to_owned(), state, batch_no };
        watching.looked(&[row], Mono(asked));
        assert_eq!(lease.age(), Some(Duration::from_millis(age)), "{asked}");
        assert_eq!(lease.holds(), age <= 2_000, "{asked}");
    }
}
