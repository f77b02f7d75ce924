//! The queue in a small world of its own: a participant that is up, down, silent or in between,
//! callers who come back after failures and wait for room. Whatever happens, bounds hold, no
//! call is lost, and all are served soon after the participant has come back for good.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tercet_wire::{Mono, spread};

use super::*;

const SETTINGS: DestinationQueueSettings = DestinationQueueSettings {
    concurrency: 4,
    queue_entries: 6,
    queue_bytes: 30,
    breaker: BreakerSettings {
        failures: 3,
        probe_interval: Duration::from_millis(250),
        probe_timeout: Duration::from_millis(500),
    },
};
/// How long a call waits for an answer that does not come.
const TIMEOUT_MS: u64 = 3_000;
/// When the participant is back for good.
const HEALED_AT: u64 = 60_000;
const CALLS: usize = 300;

#[derive(Debug, Clone, Copy)]
enum Mode {
    Up,
    Refusing,
    Silent,
    HalfFailing,
}

#[derive(Debug)]
enum Event {
    Offer(usize),
    End(usize, Permit, Health),
    Change(Mode),
}

struct World {
    queue: DestinationQueue<usize>,
    entropy: u64,
    now: u64,
    mode: Mode,
    events: BTreeMap<(u64, u64), Event>,
    numbered: u64,
    /// Those who wait for room, in the order they came.
    outside: VecDeque<usize>,
    served: BTreeMap<usize, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            queue: DestinationQueue::new(SETTINGS),
            entropy: seed,
            now: 0,
            mode: Mode::Up,
            events: BTreeMap::new(),
            numbered: 0,
            outside: VecDeque::new(),
            served: BTreeMap::new(),
        };
        for n in 0..CALLS {
            let at = world.dice(HEALED_AT);
            world.at(at, Event::Offer(n));
        }
        let modes = [Mode::Up, Mode::Refusing, Mode::Silent, Mode::HalfFailing];
        for _ in 0..20 {
            let (at, mode) = (world.dice(HEALED_AT), world.dice(4));
            world.at(at, Event::Change(modes[usize::try_from(mode).expect("small")]));
        }
        world.at(HEALED_AT, Event::Change(Mode::Up));
        world
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.entropy = spread(self.entropy, 1);
        self.entropy % sides
    }

    fn at(&mut self, at: u64, event: Event) {
        self.numbered += 1;
        self.events.insert((at, self.numbered), event);
    }

    fn offered(n: usize) -> Offered<usize> {
        // Every third is a Try; one in ten is larger than the queue may hold.
        let patience = n.is_multiple_of(3).then_some(Duration::from_millis(TIMEOUT_MS));
        let bytes = if n.is_multiple_of(10) { 50 } else { n % 10 };
        Offered { gid: format!("g{n}").parse().expect("an id"), bytes, patience, call: n }
    }

    fn offer(&mut self, n: usize) {
        match self.queue.offer(Self::offered(n), Mono(self.now), self.entropy) {
            Admission::Now(next) => self.make(next),
            Admission::Queued => {}
            Admission::Full(offered) => {
                self.outside.push_front(offered.call);
                let room = self.queue.notify_when_free(Mono(self.now));
                self.come_in(room);
            }
        }
    }

    fn make(&mut self, Next { offered, permit }: Next<usize>) {
        let after = |ms, health| (self.now + ms, health);
        let entropy = spread(self.entropy, 2);
        let (at, health) = match self.mode {
            Mode::Up => after(5, Health::Alive),
            Mode::Refusing => after(1, Health::Failed),
            Mode::Silent => after(TIMEOUT_MS, Health::Failed),
            Mode::HalfFailing if entropy.is_multiple_of(2) => after(5, Health::Alive),
            Mode::HalfFailing => after(5, Health::Failed),
        };
        self.at(at, Event::End(offered.call, permit, health));
    }

    fn come_in(&mut self, room: Option<Capacity>) {
        let Some(room) = room else { return };
        for _ in 0..room.places {
            let Some(n) = self.outside.pop_front() else { return };
            self.offer(n);
        }
        // Room is told once for each time it was asked for.
        if !self.outside.is_empty() {
            let room = self.queue.notify_when_free(Mono(self.now));
            self.come_in(room);
        }
    }

    fn moved(&mut self, moved: Moved<usize>) {
        for next in moved.next {
            self.make(next);
        }
        for expired in moved.expired {
            assert!(expired.offered.patience.is_some_and(|longest| expired.waited >= longest));
            self.at(self.now + 50, Event::Offer(expired.offered.call));
        }
        self.come_in(moved.room);
    }

    fn step(&mut self) -> bool {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let wake = self.queue.next_wake().map(|at| at.0.max(self.now));
        let Some(at) = event.into_iter().chain(wake).min() else { return false };
        self.now = at;
        if wake == Some(at) {
            let moved = self.queue.wake(Mono(at), self.entropy);
            self.moved(moved);
        } else if let Some((_, event)) = self.events.pop_first() {
            match event {
                Event::Change(mode) => self.mode = mode,
                Event::Offer(n) if self.outside.is_empty() => self.offer(n),
                Event::Offer(n) => self.outside.push_back(n),
                Event::End(n, permit, health) => {
                    let gid = Self::offered(n).gid;
                    let entropy = spread(self.entropy, self.now);
                    let moved = self.queue.ended(permit, health, &gid, Mono(self.now), entropy);
                    match health {
                        Health::Alive => assert_eq!(self.served.insert(n, self.now), None),
                        Health::Failed | Health::Unknown => {
                            let pause = self.dice(500);
                            self.at(self.now + pause, Event::Offer(n));
                        }
                    }
                    self.moved(moved);
                }
            }
        }
        true
    }
}

/// Keeps P6.
#[test]
fn bounds_hold_whatever_happens_and_all_are_served_afterwards() {
    let mut found_open = 0;
    for seed in 0..300 {
        let mut world = World::new(seed);
        let (mut steps, mut breaker) = (0, BreakerState::Closed);
        while world.step() {
            steps += 1;
            assert!(steps < 100_000, "seed {seed} goes round in circles at {}", world.now);
            assert!(world.queue.under_way() <= SETTINGS.concurrency + 8, "seed {seed}");
            assert!(world.queue.waiting() <= SETTINGS.queue_entries, "seed {seed}");
            if world.now < HEALED_AT {
                breaker = world.queue.breaker();
            }
        }
        assert_eq!(world.served.len(), CALLS, "seed {seed}");
        assert_eq!((world.queue.under_way(), world.queue.waiting()), (0, 0), "seed {seed}");
        assert_eq!(world.queue.breaker(), BreakerState::Closed, "seed {seed}");
        // What hung when it came back may hang for as long as a call can.
        let last = world.served.values().max().copied().unwrap_or_default();
        assert!(last <= HEALED_AT + TIMEOUT_MS + 2_000, "seed {seed}: {last}");
        // Where it was known to be gone, the next probe finds it.
        if breaker == BreakerState::Open {
            found_open += 1;
            let late = world.served.values().filter(|at| **at > HEALED_AT);
            let first = late.min().copied().unwrap_or(HEALED_AT);
            assert!(first <= HEALED_AT + 750, "seed {seed}: the first at {first}");
        }
    }
    assert!(found_open > 50, "the breaker was open in {found_open} worlds");
}
