//! One destination: so many calls under way at a time, a bounded queue of those that wait
//! for their turn, and a breaker that says when the destination may be called at all.

use std::time::Duration;

use tercet_wire::{Gid, Mono};

use super::BreakerState;
use super::breaker::{Breaker, BreakerSettings, Change, Permit};
use super::health::Health;
use super::waiting_calls::{Offered, Queue};

/// Probes may be under way beyond what the destination may take, so that calls which hang
/// there until their timeouts do not keep us from noticing that it is back. So many, since
/// each is sent when the one before it has been silent for a while.
const SPARE: usize = 8;

/// What one destination may take; all from config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DestinationQueueSettings {
    /// Calls under way at a time; at least 1. Up to eight probes come on top.
    pub concurrency: usize,
    /// Calls that may wait for their turn.
    pub queue_entries: usize,
    /// Bytes that may wait for their turn. One call may wait whatever its size.
    pub queue_bytes: usize,
    /// When it is not called any more.
    pub breaker: BreakerSettings,
}

/// The calls of one destination, each with a `T` of its owner's.
///
/// Whoever drives it makes each call of a [`Next`], says when it has [`DestinationQueue::ended`], and
/// comes back by [`DestinationQueue::wake`] when it is [`DestinationQueue::next_wake`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DestinationQueue<T> {
    settings: DestinationQueueSettings,
    queue: Queue<T>,
    breaker: Breaker,
    /// All that have a turn, probes too.
    under_way: usize,
    wish: Option<Wish>,
}

/// Somebody waits for room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Wish {
    /// Size of the largest call that found none.
    bytes: usize,
    /// Whether room is to be told of, or was only lacking until now.
    asked: bool,
}

/// A call to be made now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Next<T> {
    /// The call.
    pub offered: Offered<T>,
    /// Its turn, to be given back.
    pub permit: Permit,
}

/// What becomes of an offered call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Admission<T> {
    /// It is its turn.
    Now(Next<T>),
    /// It waits, and will be a [`Next`] or an [`Expired`].
    Queued,
    /// There is no room for it.
    Full(Offered<T>),
}

/// A call that is not made: its patience ended while nobody answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expired<T> {
    /// The call.
    pub offered: Offered<T>,
    /// How long it waited.
    pub waited: Duration,
}

/// There is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capacity {
    /// For how many calls.
    pub places: usize,
    /// Whether the destination answers again after its breaker was open.
    pub healed: bool,
}

/// What people should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turned {
    /// The breaker has opened.
    Opened,
    /// It has closed.
    Closed {
        /// From its opening until now, the ramp included.
        after: Duration,
    },
}

/// What follows from the end of a call or from the passing of time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moved<T> {
    /// Calls to be made now.
    pub next: Vec<Next<T>>,
    /// Calls not made.
    pub expired: Vec<Expired<T>>,
    /// Room for those who asked, or for all once the destination has recovered.
    pub room: Option<Capacity>,
    /// What people should hear of.
    pub turned: Option<Turned>,
}

impl<T> DestinationQueue<T> {
    /// A queue without calls, its breaker closed.
    #[must_use]
    pub fn new(settings: DestinationQueueSettings) -> Self {
        // A concurrency of none would be a queue that never moves.
        let settings =
            DestinationQueueSettings { concurrency: settings.concurrency.max(1), ..settings };
        let (queue, breaker) = (Queue::default(), Breaker::new());
        Self { settings, queue, breaker, under_way: 0, wish: None }
    }

    /// Takes a call in, if there is room.
    pub fn offer(&mut self, offered: Offered<T>, now: Mono, entropy: u64) -> Admission<T> {
        if self.queue.is_empty() {
            if self.permits() > 0 {
                return Admission::Now(self.begin(offered));
            }
            if self.is_probe_due(now) {
                return Admission::Now(self.probe(offered, now, entropy));
            }
        }
        // While room is asked for it belongs to those who asked: they have waited longer, and
        // under lasting overload each place that becomes free would go to whoever comes just
        // then. Once it is told of, they come by this same way.
        if self.is_asked() || !self.has_room_for(offered.bytes) {
            let wish = self.wish.get_or_insert_default();
            wish.bytes = wish.bytes.max(offered.bytes);
            return Admission::Full(offered);
        }
        self.queue.push(offered, now);
        Admission::Queued
    }

    /// A call that had its turn has ended.
    pub fn ended(
        &mut self,
        permit: Permit,
        health: Health,
        gid: &Gid,
        now: Mono,
        entropy: u64,
    ) -> Moved<T> {
        self.under_way -= 1;
        let Self { breaker, settings, .. } = self;
        let change = breaker.ended(
            permit,
            health,
            gid,
            settings.concurrency,
            (now, entropy),
            &settings.breaker,
        );
        self.go_on(change, now, entropy)
    }

    /// Time has passed.
    pub fn wake(&mut self, now: Mono, entropy: u64) -> Moved<T> {
        self.go_on(None, now, entropy)
    }

    /// When to come back, if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        match self.breaker.state() {
            BreakerState::Closed => None,
            BreakerState::HalfOpen => match self.queue.is_empty() && !self.is_full_of_old() {
                true => self.breaker.settles_at(&self.settings.breaker),
                // The ends of those under way move it on.
                false => None,
            },
            BreakerState::Open => {
                let is_wanted = !self.queue.is_empty() || self.is_asked();
                let may_probe = is_wanted && self.has_spare_place();
                let probe_at = self.breaker.probe_at(&self.settings.breaker);
                let ends = self.queue.next_end();
                probe_at.filter(|_| may_probe).into_iter().chain(ends).min()
            }
        }
    }

    /// Somebody whose call found no room wants to know when there is some. Told at once if
    /// there is.
    pub fn notify_when_free(&mut self, now: Mono) -> Option<Capacity> {
        self.wish.get_or_insert_default().asked = true;
        self.take_room(false, now)
    }

    /// Gives back a call that waits for its turn, if it does: it need not be made any more.
    pub fn retract(&mut self, is_it: impl Fn(&T) -> bool) -> Option<Offered<T>> {
        self.queue.retract(is_it)
    }

    /// As people see it.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// When it opened, if it has not closed since.
    #[must_use]
    pub fn open_since(&self) -> Option<Mono> {
        self.breaker.open_since()
    }

    /// Calls under way, probes too.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Calls that wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn go_on(&mut self, change: Option<Change>, now: Mono, entropy: u64) -> Moved<T> {
        let mut expired = Vec::new();
        if self.breaker.state() == BreakerState::Open {
            while let Some((offered, waited)) = self.queue.pop_ended(now) {
                expired.push(Expired { offered, waited });
            }
        }
        let mut next = Vec::new();
        self.fill(&mut next);
        let closed = self.advance(now);
        if closed.is_some() {
            self.fill(&mut next);
        }
        if self.is_probe_due(now)
            && let Some(offered) = self.queue.pop()
        {
            next.push(self.probe(offered, now, entropy));
        }
        let room = self.take_room(change == Some(Change::Recovered), now);
        Moved { next, expired, room, turned: turned(closed.or(change)) }
    }

    fn fill(&mut self, next: &mut Vec<Next<T>>) {
        for _ in 0..self.permits() {
            let Some(offered) = self.queue.pop() else { return };
            next.push(self.begin(offered));
        }
    }

    /// How many more calls may be made now, beside probes.
    fn permits(&self) -> usize {
        self.breaker.permits(self.free(), self.has_spare_place())
    }

    fn free(&self) -> usize {
        self.settings.concurrency.saturating_sub(self.under_way)
    }

    /// Ends a recovery. While calls from before it hang in all places it goes on, since its
    /// spare place is then the only one that moves.
    fn advance(&mut self, now: Mono) -> Option<Change> {
        if self.is_full_of_old() {
            return None;
        }
        let DestinationQueueSettings { concurrency, breaker, .. } = self.settings;
        self.breaker.advance(concurrency, self.queue.is_empty(), now, &breaker)
    }

    /// Whether every place is taken by a call from before the recovery.
    fn is_full_of_old(&self) -> bool {
        let old = self.under_way.saturating_sub(self.breaker.of_recovery());
        old >= self.settings.concurrency
    }

    fn is_probe_due(&self, now: Mono) -> bool {
        let at = self.breaker.probe_at(&self.settings.breaker);
        self.has_spare_place() && at.is_some_and(|at| at <= now)
    }

    /// Whether there is room beyond `concurrency` for finding out how the destination is.
    fn has_spare_place(&self) -> bool {
        self.under_way < self.settings.concurrency.saturating_add(SPARE)
    }

    fn begin(&mut self, offered: Offered<T>) -> Next<T> {
        self.under_way += 1;
        Next { offered, permit: self.breaker.begin() }
    }

    fn probe(&mut self, offered: Offered<T>, now: Mono, entropy: u64) -> Next<T> {
        self.under_way += 1;
        Next { offered, permit: self.breaker.probe(now, entropy, &self.settings.breaker) }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        let DestinationQueueSettings { queue_entries, queue_bytes, .. } = self.settings;
        // What is larger than the bound must still get through some time.
        let fits = self.queue.is_empty() || self.queue.bytes().saturating_add(bytes) <= queue_bytes;
        self.queue.len() < queue_entries && fits
    }

    fn is_asked(&self) -> bool {
        self.wish.is_some_and(|wish| wish.asked)
    }

    /// Room is told when it is worth coming back: a quarter of the queue, or a turn right away,
    /// and enough for the largest that was sent away. Else each place would be told of alone.
    fn take_room(&mut self, healed: bool, now: Mono) -> Option<Capacity> {
        let DestinationQueueSettings { queue_entries, .. } = self.settings;
        let mut places = 0;
        if self.queue.is_empty() {
            places = self.permits().max(usize::from(self.is_probe_due(now)));
        }
        let free = queue_entries.saturating_sub(self.queue.len());
        let is_worth_it = free > 0 && free >= queue_entries / 4;
        let wish = self.wish.unwrap_or_default();
        let has_room = places > 0 || (is_worth_it && self.has_room_for(wish.bytes));
        places += free;
        let is_told = wish.asked && has_room;
        if is_told {
            self.wish = None;
        }
        (is_told || healed).then_some(Capacity { places, healed })
    }
}

fn turned(change: Option<Change>) -> Option<Turned> {
    match change? {
        Change::Opened => Some(Turned::Opened),
        Change::Closed { after } => Some(Turned::Closed { after }),
        // It was open and still is not closed: nothing new for people.
        Change::Reopened | Change::Recovered => None,
    }
}
