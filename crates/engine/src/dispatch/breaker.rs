//! Whether a destination may be called: freely, by one probe at a time, or by a few calls
//! that become more as they are answered.
//!
//! ```text
//!            enough transactions fail in a row
//!  closed ─────────────────────────────────────▶ open ◀──────────┐
//!    ▲                                            │ proof of life │ a whole window
//!    │ as many as ever, or nobody needs more      ▼               │ fails in a row
//!    └──────────────────────────────────────── half-open ─────────┘
//! ```

use std::time::Duration;

use tercet_wire::{BreakerState, Gid, Mono};

use super::Health;
use super::failure_streak::FailureStreak;

/// How a breaker judges; all from config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BreakerSettings {
    /// Distinct transactions whose calls must fail in a row.
    pub failures: usize,
    /// The pause from one probe's beginning to the next's is between one and two of this.
    pub probe_interval: Duration,
    /// How long a probe may be silent before the next one is sent. Its own call goes on to its
    /// own timeout, so that a participant that is merely slow is found to be alive.
    pub probe_timeout: Duration,
}

/// The right to make one call now. Given back when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permit {
    era: u64,
    /// Which probe of its era, if it is one.
    probe: Option<u64>,
}

impl Permit {
    /// Whether the call must be made on a fresh connection: the old ones may be as dead as
    /// the participant was.
    #[must_use]
    pub fn is_probe(self) -> bool {
        self.probe.is_some()
    }
}

/// What the end of a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Reopened,
    Recovered,
    Closed { after: Duration },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Breaker {
    phase: Phase,
    /// One more with each recovery: how calls ended that were begun before says nothing
    /// about the time after.
    era: u64,
    streak: FailureStreak,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    Closed,
    Open {
        /// When it opened, having been closed.
        since: Mono,
        /// When the latest probe was sent and how long the next waits from there.
        probed_at: Mono,
        pause: Duration,
        /// Which probe was the latest, and whether it has not ended.
        latest: u64,
        asking: bool,
    },
    HalfOpen {
        since: Mono,
        recovered_at: Mono,
        /// Calls that may be under way.
        window: usize,
        /// Those of this era that are.
        under_way: usize,
    },
}

/// A recovery that nobody makes use of is over after this many times `probe_interval`.
const SETTLED_AFTER: u32 = 4;

impl Breaker {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Closed, era: 0, streak: FailureStreak::default() }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// When it opened, having been closed, if it has not closed since.
    pub(super) fn open_since(&self) -> Option<Mono> {
        match self.phase {
            Phase::Closed => None,
            Phase::Open { since, .. } | Phase::HalfOpen { since, .. } => Some(since),
        }
    }

    /// How many more calls it lets through where there are `free` places, and whether there
    /// is a `spare` one beyond them.
    pub(super) fn permits(&self, free: usize, spare: bool) -> usize {
        match self.phase {
            Phase::Closed => free,
            Phase::Open { .. } => 0,
            // Calls from before the recovery may hang until their timeouts; one at a time gets
            // past them.
            Phase::HalfOpen { window, under_way, .. } => {
                let least = usize::from(spare && under_way == 0);
                window.saturating_sub(under_way).min(free.max(least))
            }
        }
    }

    /// Calls under way that were begun since the recovery.
    pub(super) fn of_recovery(&self) -> usize {
        match self.phase {
            Phase::Closed | Phase::Open { .. } => 0,
            Phase::HalfOpen { under_way, .. } => under_way,
        }
    }

    /// When the next probe is due, while it is open.
    pub(super) fn probe_at(&self, settings: &BreakerSettings) -> Option<Mono> {
        match self.phase {
            Phase::Open { probed_at, pause, asking, .. } => {
                let wait = if asking { pause.max(settings.probe_timeout) } else { pause };
                Some(probed_at.after(wait))
            }
            Phase::Closed | Phase::HalfOpen { .. } => None,
        }
    }

    /// When a recovery is over that nobody makes use of.
    pub(super) fn settles_at(&self, settings: &BreakerSettings) -> Option<Mono> {
        match self.phase {
            Phase::HalfOpen { recovered_at, .. } => {
                Some(recovered_at.after(settings.probe_interval.saturating_mul(SETTLED_AFTER)))
            }
            Phase::Closed | Phase::Open { .. } => None,
        }
    }

    /// An ordinary call begins.
    pub(super) fn begin(&mut self) -> Permit {
        match &mut self.phase {
            Phase::HalfOpen { under_way, .. } => *under_way += 1,
            Phase::Closed | Phase::Open { .. } => {}
        }
        Permit { era: self.era, probe: None }
    }

    /// A probe begins.
    pub(super) fn probe(&mut self, now: Mono, entropy: u64, settings: &BreakerSettings) -> Permit {
        let mut probe = None;
        match &mut self.phase {
            Phase::Open { probed_at, pause, latest, asking, .. } => {
                *probed_at = now;
                *pause = pause_of(entropy, settings);
                *latest += 1;
                *asking = true;
                probe = Some(*latest);
            }
            Phase::Closed | Phase::HalfOpen { .. } => {}
        }
        Permit { era: self.era, probe }
    }

    /// A call has ended.
    pub(super) fn ended(
        &mut self,
        permit: Permit,
        health: Health,
        gid: &Gid,
        concurrency: usize,
        (now, entropy): (Mono, u64),
        settings: &BreakerSettings,
    ) -> Option<Change> {
        let of_era = permit.era == self.era;
        match &mut self.phase {
            Phase::Closed => match health {
                Health::Alive => self.streak.alive(),
                Health::Failed if of_era && self.streak.failed(gid, settings.failures) => {
                    self.open(now, now, entropy, settings);
                    return Some(Change::Opened);
                }
                Health::Failed | Health::Unknown => {}
            },
            Phase::Open { since, latest, asking, .. } => {
                if of_era && permit.probe == Some(*latest) {
                    *asking = false;
                }
                if health == Health::Alive {
                    // Whichever call was answered: somebody is there. A probe was the first of
                    // the ramp, so that two may follow.
                    let since = *since;
                    let window = concurrency.min(2);
                    self.era += 1;
                    self.streak = FailureStreak::default();
                    self.phase = Phase::HalfOpen { since, recovered_at: now, window, under_way: 0 };
                    return Some(Change::Recovered);
                }
            }
            Phase::HalfOpen { since, window, under_way, .. } => {
                if of_era {
                    *under_way = under_way.saturating_sub(1);
                }
                match health {
                    Health::Alive => {
                        self.streak.alive();
                        // One more for each answer: as many again with each round.
                        *window += usize::from(of_era);
                    }
                    Health::Failed if of_era => {
                        // A failure among answers only slows the ramp down. It has failed when
                        // the calls that may be under way at a time have all failed in a row.
                        let needed = settings.failures.min(*window);
                        if self.streak.failed(gid, needed) {
                            let since = *since;
                            self.open(since, now, entropy, settings);
                            return Some(Change::Reopened);
                        }
                    }
                    Health::Failed | Health::Unknown => {}
                }
            }
        }
        None
    }

    /// Ends a recovery that has reached the limit, or that nobody makes use of.
    pub(super) fn advance(
        &mut self,
        concurrency: usize,
        is_calm: bool,
        now: Mono,
        settings: &BreakerSettings,
    ) -> Option<Change> {
        let has_settled = is_calm && self.settles_at(settings).is_some_and(|at| at <= now);
        match self.phase {
            Phase::HalfOpen { since, window, .. } if window >= concurrency || has_settled => {
                self.phase = Phase::Closed;
                Some(Change::Closed { after: now.since(since) })
            }
            Phase::Closed | Phase::Open { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    fn open(&mut self, since: Mono, now: Mono, entropy: u64, settings: &BreakerSettings) {
        let pause = pause_of(entropy, settings);
        self.streak = FailureStreak::default();
        self.phase = Phase::Open { since, probed_at: now, pause, latest: 0, asking: false };
    }
}

/// Between one and two of `probe_interval`, so that the probes of many nodes do not meet.
fn pause_of(entropy: u64, settings: &BreakerSettings) -> Duration {
    let every_ms = u64::try_from(settings.probe_interval.as_millis()).unwrap_or(u64::MAX);
    settings.probe_interval + Duration::from_millis(entropy % every_ms.saturating_add(1))
}
