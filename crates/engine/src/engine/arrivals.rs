//! Transactions that are taken over while this life runs, until they are read.
//!
//! ```text
//!   TakingOver ──▶ announced ── TakenOver: not among them ─▶ somebody else's
//!                      └─────── TakenOver: mine ─▶ to be asked for ─▶ Effect::Load ─▶ adopted
//! ```
//!
//! They are read like everything that is not in memory, so that one answer is under way for each
//! gid and none tells of a time that is over. A request for one may come first, and brings it in.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tercet_wire::{Gid, Incarnation, Mono, Now};

use crate::engine::output::{Effect, Output};
use crate::engine::{Engine, at_once};
use crate::invariants::Broken;

/// Read at a time: what comes of some makes room for others.
const MOST_ASKED: usize = 256;

/// The pause before what could not be read is asked for again.
const AGAIN: Duration = Duration::from_millis(500);

/// What is on its way in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Arrivals {
    /// All that may be or are this life's and were not read as such, and who drove them.
    known: BTreeMap<Gid, Arrival>,
    /// How many of them are durably this life's: asked for at every turn, and there may be tens of
    /// thousands.
    mine: usize,
    /// The chunks that were announced, the first one first.
    announced: VecDeque<Chunk>,
    /// The number of the last of them, counted over this life.
    last_chunk: u64,
    /// Durably this life's, and to be asked for; some may have come otherwise meanwhile.
    to_ask: VecDeque<Gid>,
    /// After the journal could not read one, when it is asked again.
    not_before: Mono,
}

/// Several chunks may announce the same: while the one of a dead life waits for its turn, another
/// life takes what is in it, and is over, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Arrival {
    dead: Incarnation,
    durable: bool,
    /// The first chunk that has announced it since it was here, if it ever was.
    first: u64,
    /// The last chunk that has announced it.
    last: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Chunk {
    number: u64,
    dead: Incarnation,
    gids: Vec<Gid>,
}

impl Arrivals {
    pub(super) fn contains(&self, gid: &Gid) -> bool {
        self.known.contains_key(gid)
    }

    /// Whether it is durably this life's.
    pub(super) fn is_mine(&self, gid: &Gid) -> bool {
        self.known.get(gid).is_some_and(|arrival| arrival.durable)
    }

    /// How many are durably this life's.
    pub(super) fn count(&self) -> usize {
        self.mine
    }

    /// One was read, or turns out not to be this life's. Who drove it, if it was on its way.
    pub(super) fn take(&mut self, gid: &Gid) -> Option<Incarnation> {
        let arrival = self.known.remove(gid)?;
        self.mine -= usize::from(arrival.durable);
        Some(arrival.dead)
    }

    /// Nothing is in its place any more.
    pub(super) fn has_room(&mut self, gid: &Gid) {
        if self.is_mine(gid) {
            self.to_ask.push_back(gid.clone());
        }
    }

    /// One could not be read.
    pub(super) fn again(&mut self, gid: &Gid, now: Mono) {
        if self.is_mine(gid) {
            self.to_ask.push_back(gid.clone());
            self.not_before = now.after(AGAIN);
        }
    }

    /// Whether there are any to be asked for; mostly there are none.
    pub(super) fn are_waiting(&self) -> bool {
        !self.to_ask.is_empty()
    }

    /// When the journal is to be asked again. `asked`: those it is being asked for.
    pub(super) fn next(&self, asked: usize) -> Option<Mono> {
        (self.are_waiting() && asked < MOST_ASKED).then_some(self.not_before)
    }

    fn next_to_ask(&mut self, asked: usize, now: Mono) -> Option<Gid> {
        let due = self.next(asked).is_some_and(|at| at <= now);
        due.then(|| self.to_ask.pop_front()).flatten()
    }

    /// Whether each that is this life's will be read.
    pub(super) fn check(&self, is_asked_for: impl Fn(&Gid) -> bool) -> Result<(), Broken> {
        let forgotten = self.known.iter().find(|(gid, arrival)| {
            arrival.durable && !self.to_ask.contains(gid) && !is_asked_for(gid)
        });
        let mine = self.known.values().filter(|arrival| arrival.durable).count();
        let why = match forgotten {
            Some((gid, _)) => format!("{gid} was taken over and nobody reads it"),
            None if mine != self.mine => {
                format!("{mine} were taken over, {} are counted", self.mine)
            }
            None => return Ok(()),
        };
        Err(Broken::IndexDisagrees { part: "arrivals", why })
    }
}

impl Engine {
    /// How many transactions are durably this life's and not read yet. While there are many, no
    /// more should be taken over.
    #[must_use]
    pub fn arriving(&self) -> usize {
        self.arrivals.count()
    }

    /// Whether a transaction is durably this life's and not read yet.
    #[must_use]
    pub fn is_arriving(&self, gid: &Gid) -> bool {
        self.arrivals.is_mine(gid)
    }

    pub(super) fn taking_over(&mut self, dead: Incarnation, gids: Vec<Gid>) {
        self.arrivals.last_chunk += 1;
        let number = self.arrivals.last_chunk;
        // One that is begun here under the same gid and not written yet does not matter: its begin
        // will turn out to be late.
        for gid in &gids {
            let anew = Arrival { dead, durable: false, first: number, last: number };
            self.arrivals.known.entry(gid.clone()).or_insert(anew).last = number;
        }
        self.arrivals.announced.push_back(Chunk { number, dead, gids });
    }

    pub(super) fn taken_over(&mut self, mine: Vec<Gid>) {
        let Some(chunk) = self.arrivals.announced.pop_front() else { return };
        for gid in mine {
            // A request may have brought it in, as soon as the chunk was durable. What is known of
            // it then is only what later chunks have announced.
            let arrival = self.arrivals.known.get_mut(&gid);
            if let Some(arrival) = arrival.filter(|arrival| arrival.first <= chunk.number) {
                self.arrivals.mine += usize::from(!arrival.durable);
                (arrival.dead, arrival.durable) = (chunk.dead, true);
                self.arrivals.to_ask.push_back(gid);
            }
        }
        for gid in chunk.gids {
            // What a later chunk has announced as well may be this life's by that one.
            let arrival = self.arrivals.known.get(&gid);
            if arrival.is_some_and(|arrival| !arrival.durable && arrival.last <= chunk.number) {
                self.arrivals.take(&gid);
            }
        }
    }

    /// Has what has arrived read.
    pub(super) fn ask_for_arrivals(&mut self, now: Now, output: &mut Output) {
        while let Some(gid) = self.arrivals.next_to_ask(self.loading.arrivals(), now.mono) {
            // Whoever asked for it first brings it in, even if the journal had looked too early;
            // and where another has its gid and is not written, that one goes first.
            let is_in_hand = self.loading.contains(&gid) || self.live.contains(&gid);
            if self.arrivals.contains(&gid) && !is_in_hand {
                output.effects.push(at_once(&gid, Effect::Load));
                self.loading.ask_arrival(gid);
            }
        }
    }
}
