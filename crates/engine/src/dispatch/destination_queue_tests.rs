//! The queue by given times: what opens a breaker, what closes it, and who is called meanwhile.

use std::time::Duration;

use tercet_wire::{Gid, Mono, spread};

use super::*;

const SETTINGS: DestinationQueueSettings = DestinationQueueSettings {
    concurrency: 8,
    queue_entries: 100,
    queue_bytes: 1_000,
    breaker: BreakerSettings {
        failures: 5,
        probe_interval: Duration::from_millis(250),
        probe_timeout: Duration::from_millis(500),
    },
};

/// Which calls end, and how.
type Ends = &'static [(usize, Health)];

/// Luck that makes every pause the shortest: 250 ms.
const LUCK: u64 = 0;

fn gid(n: usize) -> Gid {
    format!("g{n}").parse().expect("an id")
}

/// A Confirm of the `n`-th transaction.
fn confirm(n: usize) -> Offered<usize> {
    Offered { gid: gid(n), bytes: 1, patience: None, call: n }
}

fn try_(n: usize, patience_ms: u64) -> Offered<usize> {
    Offered { patience: Some(Duration::from_millis(patience_ms)), ..confirm(n) }
}

/// A queue and those of its calls that are under way.
struct Bench {
    queue: DestinationQueue<usize>,
    now: u64,
    under_way: Vec<(usize, Permit)>,
}

impl Bench {
    fn new(settings: DestinationQueueSettings) -> Self {
        Self { queue: DestinationQueue::new(settings), now: 0, under_way: Vec::new() }
    }

    /// With a breaker that has just opened, at time 0, and nothing under way or waiting.
    fn open(settings: DestinationQueueSettings) -> Self {
        let mut bench = Self::new(settings);
        for n in 9_001..=9_005 {
            bench.offer(confirm(n));
            bench.end(n, Health::Failed);
        }
        assert_eq!(bench.queue.breaker(), BreakerState::Open);
        bench
    }

    fn offer(&mut self, offered: Offered<usize>) -> &'static str {
        match self.queue.offer(offered, Mono(self.now), LUCK) {
            Admission::Now(next) => self.made(&[next])[0],
            Admission::Queued => "queued",
            Admission::Full(_) => "full",
        }
    }

    fn made(&mut self, next: &[Next<usize>]) -> Vec<&'static str> {
        self.under_way.extend(next.iter().map(|next| (next.offered.call, next.permit)));
        let kind = |next: &Next<_>| if next.permit.is_probe() { "probe" } else { "call" };
        next.iter().map(kind).collect()
    }

    fn end(&mut self, n: usize, health: Health) -> Moved<usize> {
        let at = self.under_way.iter().position(|(call, _)| *call == n).expect("under way");
        let (_, permit) = self.under_way.remove(at);
        let moved = self.queue.ended(permit, health, &gid(n), Mono(self.now), LUCK);
        self.made(&moved.next);
        moved
    }

    fn wake_at(&mut self, now: u64) -> Moved<usize> {
        assert!(now >= self.now);
        self.now = now;
        let moved = self.queue.wake(Mono(now), LUCK);
        self.made(&moved.next);
        moved
    }

    fn next_wake(&self) -> Option<u64> {
        self.queue.next_wake().map(|at| at.0)
    }

    fn calls(&self) -> Vec<usize> {
        self.under_way.iter().map(|(call, _)| *call).collect()
    }
}

/// The calls that a move begins: which, and whether on a fresh connection.
fn begun(moved: &Moved<usize>) -> Vec<(usize, bool)> {
    moved.next.iter().map(|next| (next.offered.call, next.permit.is_probe())).collect()
}

/// Keeps P6.
#[test]
fn a_breaker_opens_when_enough_fail_in_a_row_and_never_by_one() {
    use Health::{Alive, Failed, Unknown};
    let table: [(&str, Ends, bool); 6] = [
        ("four", &[(1, Failed), (2, Failed), (3, Failed), (4, Failed)], false),
        ("five", &[(1, Failed), (2, Failed), (3, Failed), (4, Failed), (5, Failed)], true),
        ("one, again and again", &[(1, Failed); 50], false),
        (
            "a proof of life between",
            &[(1, Failed), (2, Failed), (3, Alive), (4, Failed), (5, Failed), (6, Failed)],
            false,
        ),
        (
            "one of them twice",
            &[(1, Failed), (2, Failed), (1, Failed), (3, Failed), (4, Failed)],
            false,
        ),
        (
            "calls that were not made are neither",
            &[(1, Failed), (2, Failed), (7, Unknown), (3, Failed), (4, Failed), (5, Failed)],
            true,
        ),
    ];
    for (what, ends, opens) in table {
        let mut bench = Bench::new(SETTINGS);
        let mut turned = None;
        for (n, health) in ends {
            assert_eq!(bench.offer(confirm(*n)), "call", "{what}");
            turned = turned.or(bench.end(*n, *health).turned);
        }
        assert_eq!(bench.queue.breaker() == BreakerState::Open, opens, "{what}");
        assert_eq!(turned, opens.then_some(Turned::Opened), "{what}");
    }
}

#[test]
fn calls_end_normally_while_the_breaker_is_open_and_none_begins() {
    let mut bench = Bench::new(SETTINGS);
    for n in 1..=12 {
        bench.offer(confirm(n));
    }
    for n in 1..=4 {
        assert_eq!(begun(&bench.end(n, Health::Failed)), [(n + 8, false)]);
    }
    let opening = bench.end(5, Health::Failed);
    assert_eq!(opening.turned, Some(Turned::Opened));
    assert_eq!(begun(&opening), []);
    for n in [6, 7, 8, 9, 10, 11, 12] {
        let moved = bench.end(n, Health::Failed);
        assert_eq!((begun(&moved), moved.turned), (vec![], None), "{n}");
    }
    assert_eq!((bench.queue.under_way(), bench.queue.breaker()), (0, BreakerState::Open));
}

/// Keeps P6.
#[test]
fn probes_go_one_at_a_time_each_on_its_own_connection() {
    let mut bench = Bench::open(SETTINGS);
    for n in 1..=4 {
        assert_eq!(bench.offer(confirm(n)), "queued");
    }
    assert_eq!(bench.next_wake(), Some(250));
    assert_eq!(begun(&bench.wake_at(249)), []);
    assert_eq!(begun(&bench.wake_at(250)), [(1, true)]);
    // While it is under way no other is, until it has been silent for long.
    assert_eq!(bench.next_wake(), Some(750));
    bench.now = 260;
    assert_eq!(begun(&bench.end(1, Health::Failed)), []);
    // From beginning to beginning, however soon it failed.
    assert_eq!(bench.next_wake(), Some(500));
    assert_eq!(begun(&bench.wake_at(500)), [(2, true)]);
    // One that fails late is followed at once.
    bench.now = 800;
    let silent = bench.wake_at(1_000);
    assert_eq!(begun(&silent), [(3, true)], "a silent probe is not waited for");
    bench.now = 1_400;
    assert_eq!(begun(&bench.end(3, Health::Failed)), [(4, true)]);
    assert_eq!(bench.calls(), [2, 4]);
}

#[test]
fn a_probe_follows_the_last_within_one_to_two_times_its_pause() {
    for entropy in (0..1_000).map(|n| spread(n, 0)) {
        let mut bench = Bench::open(SETTINGS);
        bench.offer(confirm(1));
        bench.offer(confirm(2));
        let moved = bench.queue.wake(Mono(250), entropy);
        bench.now = 251;
        bench.made(&moved.next);
        bench.end(1, Health::Failed);
        let next = bench.next_wake().expect("a probe will be due");
        assert!((500..=750).contains(&next), "{next} with luck {entropy}");
    }
}

#[test]
fn a_slow_answer_to_a_silent_probe_is_a_proof_of_life() {
    let mut bench = Bench::open(SETTINGS);
    for n in 1..=9 {
        bench.offer(confirm(n));
    }
    bench.wake_at(250);
    bench.wake_at(750);
    bench.now = 2_250;
    let moved = bench.end(1, Health::Alive);
    assert_eq!(bench.queue.breaker(), BreakerState::HalfOpen);
    assert_eq!(begun(&moved), [(3, false), (4, false)]);
    // The other probe's end says nothing about the time after the recovery.
    bench.end(2, Health::Failed);
    bench.end(3, Health::Failed);
    assert_eq!(bench.queue.breaker(), BreakerState::HalfOpen);
}

#[test]
fn silent_probes_are_bounded() {
    let mut bench = Bench::open(SETTINGS);
    for n in 1..=100 {
        bench.offer(confirm(n));
    }
    while let Some(at) = bench.next_wake() {
        bench.wake_at(at.max(bench.now));
    }
    assert_eq!(bench.calls().len(), SETTINGS.concurrency + 8);
    bench.now += 1_000;
    assert_eq!(begun(&bench.end(1, Health::Failed)), [(17, true)]);
}

#[test]
fn the_next_call_is_the_probe_where_nothing_waits() {
    let mut bench = Bench::open(SETTINGS);
    assert_eq!(bench.next_wake(), None, "nobody needs to know");
    bench.now = 100;
    assert_eq!(bench.offer(confirm(1)), "queued", "not yet due");
    bench.wake_at(250);
    bench.end(1, Health::Failed);
    bench.now = 10_000;
    assert_eq!(bench.offer(confirm(2)), "probe");
    assert_eq!(bench.offer(confirm(3)), "queued");
}

/// Keeps P6.
#[test]
fn a_destination_that_returns_gets_calls_as_it_answers_them() {
    let mut bench = Bench::open(SETTINGS);
    for n in 1..=100 {
        bench.offer(confirm(n));
    }
    bench.wake_at(250);
    let healed = bench.end(1, Health::Alive);
    assert!(healed.room.is_some_and(|room| room.healed), "{:?}", healed.room);
    let mut rounds = vec![bench.calls().len()];
    while bench.queue.breaker() == BreakerState::HalfOpen {
        let mut most = 0;
        for n in bench.calls() {
            let moved = bench.end(n, Health::Alive);
            assert!(moved.room.is_none_or(|room| !room.healed), "told once");
            most = most.max(bench.calls().len());
        }
        rounds.push(most);
    }
    assert_eq!(rounds, [2, 4, 8]);
    assert_eq!(bench.calls().len(), SETTINGS.concurrency);
}

#[test]
fn people_hear_of_opening_and_closing_and_of_nothing_between() {
    let mut bench = Bench::open(DestinationQueueSettings { concurrency: 2, ..SETTINGS });
    bench.offer(confirm(1));
    bench.wake_at(250);
    bench.now = 300;
    let closed = bench.end(1, Health::Alive).turned;
    assert_eq!(closed, Some(Turned::Closed { after: Duration::from_millis(300) }));

    let mut bench = Bench::open(SETTINGS);
    for n in 1..=3 {
        bench.offer(confirm(n));
    }
    bench.wake_at(250);
    let since = bench.queue.open_since();
    let mut turned = vec![bench.end(1, Health::Alive).turned];
    turned.extend([2, 3].map(|n| bench.end(n, Health::Failed).turned));
    assert_eq!(bench.queue.breaker(), BreakerState::Open, "the whole window failed");
    assert!(since.is_some() && bench.queue.open_since() == since, "it has not closed meanwhile");
    assert_eq!(turned, [None; 3]);
}

#[test]
fn a_failure_slows_the_ramp_down_and_does_not_end_it() {
    let mut bench = Bench::open(SETTINGS);
    for n in 1..=100 {
        bench.offer(confirm(n));
    }
    bench.wake_at(250);
    bench.end(1, Health::Alive);
    let mut failed = 0;
    while bench.queue.breaker() != BreakerState::Closed {
        let calls = bench.calls();
        // The first of every window fails.
        for (place, n) in calls.into_iter().enumerate() {
            failed += usize::from(place == 0);
            bench.end(n, if place == 0 { Health::Failed } else { Health::Alive });
            assert_ne!(bench.queue.breaker(), BreakerState::Open);
        }
    }
    assert!(failed >= 3, "{failed}");
}

/// Keeps P6.
#[test]
fn calls_sent_before_recovery_say_nothing_of_the_time_after() {
    let mut bench = Bench::new(SETTINGS);
    for n in 1..=8 {
        bench.offer(confirm(n));
    }
    for n in 9_001..=9_100 {
        bench.offer(confirm(n));
    }
    // Five of eight fail and the breaker opens; three hang.
    for n in 1..=5 {
        bench.end(n, Health::Failed);
    }
    let hanging: Vec<usize> = bench.calls();
    bench.wake_at(250);
    let probe = *bench.calls().last().expect("a probe");
    bench.end(probe, Health::Alive);
    for n in hanging {
        let moved = bench.end(n, Health::Failed);
        assert_eq!(moved.turned, None);
        assert_eq!(bench.queue.breaker(), BreakerState::HalfOpen);
    }
}

#[test]
fn hung_calls_keep_no_destination_from_being_served_again() {
    let mut bench = Bench::new(SETTINGS);
    for n in 1..=8 {
        bench.offer(confirm(n));
    }
    for n in 1..=5 {
        bench.end(n, Health::Failed);
    }
    for n in 101..=120 {
        bench.offer(confirm(n));
    }
    // Three of the old calls hang, and five probes after them: all places are taken.
    for probe in 0..6 {
        bench.wake_at(250 + probe * 500);
    }
    assert_eq!(bench.queue.under_way(), SETTINGS.concurrency + 1);
    let hanging = bench.calls()[..8].to_vec();
    while bench.queue.waiting() > 0 {
        let answered = bench.calls().into_iter().find(|n| !hanging.contains(n));
        bench.end(answered.expect("one at least is made"), Health::Alive);
        assert!(bench.queue.under_way() <= SETTINGS.concurrency + 1);
    }
}

/// Keeps P6.
#[test]
fn a_try_waits_for_its_timeout_and_a_confirm_without_end() {
    let mut bench = Bench::open(SETTINGS);
    // Hanging probes, so that those below are not the next.
    for n in 1..=2 {
        bench.offer(confirm(n));
    }
    bench.now = 10;
    bench.offer(try_(3, 300));
    bench.offer(confirm(4));
    bench.offer(try_(5, 100));
    assert_eq!(bench.next_wake(), Some(110));
    let expired = |moved: Moved<usize>| -> Vec<(usize, u128)> {
        let expired = moved.expired.iter();
        expired.map(|e| (e.offered.call, e.waited.as_millis())).collect()
    };
    assert_eq!(expired(bench.wake_at(109)), []);
    assert_eq!(expired(bench.wake_at(110)), [(5, 100)]);
    assert_eq!(expired(bench.wake_at(400)), [(3, 390)]);
    for at in (0..100_000).step_by(500) {
        assert_eq!(expired(bench.wake_at(400 + at)), []);
    }
    assert_eq!(bench.calls(), [1, 2, 4]);

    // Where somebody answers, a Try waits for its turn as ever.
    let mut bench = Bench::new(DestinationQueueSettings { concurrency: 1, ..SETTINGS });
    bench.offer(confirm(1));
    bench.offer(try_(2, 10));
    assert_eq!(bench.next_wake(), None);
    assert_eq!(expired(bench.wake_at(1_000)), []);
}

#[test]
fn a_recovery_that_nobody_makes_use_of_is_over_after_a_while() {
    let mut bench = Bench::open(SETTINGS);
    bench.offer(confirm(1));
    bench.wake_at(250);
    bench.end(1, Health::Alive);
    assert_eq!(bench.next_wake(), Some(1_250));
    let moved = bench.wake_at(1_250);
    assert_eq!(moved.turned, Some(Turned::Closed { after: Duration::from_millis(1_250) }));
    assert_eq!(bench.next_wake(), None);
}

#[test]
fn a_queue_is_bounded_and_takes_one_of_any_size() {
    let settings = DestinationQueueSettings { concurrency: 1, queue_entries: 3, ..SETTINGS };
    let sized = |n, bytes| Offered { bytes, ..confirm(n) };
    let mut bench = Bench::new(settings);
    assert_eq!(bench.offer(sized(1, 5_000)), "call", "what does not wait takes no room");
    assert_eq!(bench.offer(sized(2, 5_000)), "queued");
    assert_eq!(bench.offer(sized(3, 0)), "full");
    bench.end(1, Health::Alive);
    for (n, bytes, expected) in
        [(4, 600, "queued"), (5, 401, "full"), (6, 400, "queued"), (7, 0, "queued"), (8, 0, "full")]
    {
        assert_eq!(bench.offer(sized(n, bytes)), expected, "{n}");
    }
    assert_eq!((bench.queue.under_way(), bench.queue.waiting()), (1, 3));
}

#[test]
fn capacity_is_told_once_and_when_it_is_worth_coming_for() {
    let settings = DestinationQueueSettings { concurrency: 1, queue_entries: 8, ..SETTINGS };
    let mut bench = Bench::new(settings);
    for n in 1..=9 {
        bench.offer(confirm(n));
    }
    assert_eq!(bench.offer(confirm(10)), "full");
    assert_eq!(bench.queue.notify_when_free(Mono(0)), None);
    assert_eq!(bench.end(1, Health::Alive).room, None, "one place is not worth telling");
    let room = bench.end(2, Health::Alive).room;
    assert_eq!(room, Some(Capacity { places: 2, healed: false }));
    assert_eq!(bench.end(3, Health::Alive).room, None, "told once");
    let room = bench.queue.notify_when_free(Mono(0));
    assert_eq!(room, Some(Capacity { places: 3, healed: false }), "told at once");

    // Enough bytes for the one that was sent away, else it would come back in vain for ever.
    let mut bench = Bench::new(settings);
    let sized = |n, bytes| Offered { bytes, ..confirm(n) };
    for n in 1..=4 {
        bench.offer(sized(n, 300));
    }
    assert_eq!(bench.offer(sized(5, 2_000)), "full");
    assert_eq!(bench.queue.notify_when_free(Mono(0)), None);
    assert_eq!([1, 2].map(|n| bench.end(n, Health::Alive).room), [None, None]);
    assert!(bench.end(3, Health::Alive).room.is_some());
    assert_eq!(bench.offer(sized(5, 2_000)), "queued");
}

#[test]
fn a_line_without_a_queue_says_when_it_may_be_probed() {
    let mut bench = Bench::open(DestinationQueueSettings { queue_entries: 0, ..SETTINGS });
    assert_eq!(bench.offer(confirm(1)), "full");
    assert_eq!(bench.queue.notify_when_free(Mono(0)), None);
    assert_eq!(bench.next_wake(), Some(250));
    assert_eq!(bench.wake_at(250).room, Some(Capacity { places: 1, healed: false }));
    assert_eq!(bench.next_wake(), None);
    assert_eq!(bench.offer(confirm(1)), "probe");
}

#[test]
fn a_call_that_waits_can_be_given_back_and_one_under_way_cannot() {
    let settings = DestinationQueueSettings { concurrency: 1, ..SETTINGS };
    let mut queue = DestinationQueue::new(settings);
    assert!(matches!(queue.offer(confirm(1), Mono(0), LUCK), Admission::Now(_)));
    for n in [2, 3] {
        assert_eq!(queue.offer(confirm(n), Mono(0), LUCK), Admission::Queued);
    }
    assert_eq!(queue.retract(|call| *call == 1), None);
    assert_eq!(queue.retract(|call| *call == 3), Some(confirm(3)));
    assert_eq!((queue.waiting(), queue.under_way()), (1, 1));
}

/// Keeps P6.
#[test]
fn while_room_is_asked_for_it_is_kept_for_those_who_asked() {
    let mut bench =
        Bench::new(DestinationQueueSettings { concurrency: 1, queue_entries: 8, ..SETTINGS });
    for n in 1..=9 {
        bench.offer(confirm(n));
    }
    assert_eq!(bench.offer(confirm(10)), "full");
    assert_eq!(bench.queue.notify_when_free(Mono(0)), None);
    // As many come as go: they wait in line behind the one that asked.
    assert_eq!(bench.end(1, Health::Alive).room, None, "one place alone is not told of");
    assert_eq!(bench.offer(confirm(11)), "full");
    let told = bench.end(2, Health::Alive).room;
    assert_eq!(told, Some(Capacity { places: 2, healed: false }));
    assert_eq!([10, 11].map(|n| bench.offer(confirm(n))), ["queued", "queued"]);
}
