//! When it is over: nothing is in flight, or most of the grace has passed.

use std::time::Duration;

use tercet_wire::Mono;

/// How much of the grace waits for answers: those that come last still get out.
const WAITS: f64 = 0.8;

/// While stopping, look often: what is in flight may come to wait behind a breaker, and nothing
/// tells of that.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The part of the grace that is for what is in flight. The rest is the journal's, to write down
/// what has come of it.
#[must_use]
pub fn for_what_is_in_flight(grace: Duration) -> Duration {
    grace.mul_f64(0.9)
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop, and nothing was in flight or its part of the grace was over.
    Stopped {
        /// When all of the grace is.
        grace_ends: Mono,
    },
    /// Another incarnation has taken this one's transactions over.
    Fenced,
}

/// It was told to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    since: Mono,
    grace: Duration,
}

impl Stopping {
    pub(super) fn new(since: Mono, grace: Duration) -> Self {
        Self { since, grace }
    }

    /// Whoever waits beyond this is told how things stand.
    pub(super) fn last_wait(self) -> Mono {
        self.since.after(self.grace.mul_f64(WAITS))
    }

    pub(super) fn next_look(self, now: Mono) -> Mono {
        now.after(LOOK_EVERY).min(self.gives_up())
    }

    pub(super) fn ended(self, now: Mono, is_idle: bool) -> Option<Ended> {
        let over = is_idle || now >= self.gives_up();
        over.then(|| Ended::Stopped { grace_ends: self.since.after(self.grace) })
    }

    pub(super) fn gives_up(self) -> Mono {
        self.since.after(for_what_is_in_flight(self.grace))
    }
}
