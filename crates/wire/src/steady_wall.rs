//! A wall clock that is not taken at its word.
//!
//! What is deleted by age is deleted for good, and a wall clock can be wrong for a minute: a bad
//! time source, a machine that comes up before it is set right. The monotonic clock cannot jump,
//! but does not know the date. So the date is taken once and carried on by the monotonic clock;
//! where the wall clock parts from that, it is in doubt, until it has kept in step for a day.

use std::time::Duration;

use crate::time::{Mono, Now, Wall};

/// A clock that is corrected by so much at a time is in order.
const TOLERANCE_MS: i64 = 10_000;
/// How often such corrections are followed: a clock that creeps is in doubt like one that jumps.
const FOLLOWED_EVERY: Duration = Duration::from_mins(10);
/// How long a clock that has parted must keep in step until it is believed again. Whatever
/// keeps clocks right has noticed by then.
const SETTLES_AFTER: Duration = Duration::from_hours(24);

/// The wall clock beside what the monotonic clock says it should show.
#[derive(Debug, Clone)]
pub struct SteadyWall {
    /// When the wall clock was last believed, and what it showed.
    believed_at: Mono,
    believed: Wall,
    parted: Option<Parted>,
}

/// What people should hear about a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockNews {
    /// It is in doubt from now on.
    Parted {
        /// How much more it shows than it should, in milliseconds.
        ahead_ms: i64,
    },
    /// It is believed again.
    Believed,
}

/// The wall clock shows something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parted {
    /// Since when it has shown the same, but for the time that passed.
    since: Mono,
    /// How much more than it should.
    ahead_ms: i64,
}

impl SteadyWall {
    /// Believes the clock as it is at a start, unless what was last written says that the node
    /// was down for longer than it ever is, or that the clock was set back.
    #[must_use]
    pub fn start(now: Now, last_written: Option<Wall>, longest_downtime: Duration) -> Self {
        let longest = i64::try_from(longest_downtime.as_millis()).unwrap_or(i64::MAX);
        let doubted = last_written.filter(|last| {
            let ahead = now.wall.0.saturating_sub(last.0);
            ahead > longest || ahead < -TOLERANCE_MS
        });
        Self { believed_at: now.mono, believed: doubted.unwrap_or(now.wall), parted: None }
    }

    /// Looks at the clocks. To be asked before anything goes by them.
    pub fn observe(&mut self, now: Now) -> Option<ClockNews> {
        let ahead_ms = now.wall.0.saturating_sub(self.expected(now.mono).0);
        if ahead_ms.saturating_abs() <= TOLERANCE_MS {
            if now.mono.since(self.believed_at) >= FOLLOWED_EVERY {
                self.believe(now);
            }
            return self.parted.take().map(|_| ClockNews::Believed);
        }
        let is_in_step = |parted: &Parted| {
            ahead_ms.saturating_sub(parted.ahead_ms).saturating_abs() <= TOLERANCE_MS
        };
        match self.parted {
            Some(parted) if is_in_step(&parted) => {
                if now.mono.since(parted.since) < SETTLES_AFTER {
                    return None;
                }
                self.parted = None;
                self.believe(now);
                Some(ClockNews::Believed)
            }
            was => {
                self.parted = Some(Parted { since: now.mono, ahead_ms });
                // One that jumps about is told of once.
                was.is_none().then_some(ClockNews::Parted { ahead_ms })
            }
        }
    }

    /// Whether the wall clock is in doubt, as far as was observed.
    #[must_use]
    pub fn is_parted(&self) -> bool {
        self.parted.is_some()
    }

    /// The moment with the lesser of both dates.
    #[must_use]
    pub fn of(&self, now: Now) -> Now {
        match self.parted {
            None => now,
            Some(_) => Now { wall: now.wall.min(self.expected(now.mono)), ..now },
        }
    }

    /// When something ended that says so by the wall clock. One that was set back would make it
    /// older than it is, and have it deleted too early once it is set right.
    #[must_use]
    pub fn ended(&self, at: Wall, now: Mono) -> Wall {
        match self.parted {
            Some(Parted { ahead_ms, .. }) if ahead_ms < 0 => at.max(self.expected(now)),
            _ => at,
        }
    }

    fn expected(&self, now: Mono) -> Wall {
        self.believed.after(now.since(self.believed_at))
    }

    fn believe(&mut self, now: Now) {
        (self.believed_at, self.believed) = (now.mono, now.wall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    /// What both clocks show at first.
    const BEGIN: i64 = 1_000 * DAY;
    const LONGEST_DOWNTIME: Duration = Duration::from_hours(1);

    /// So long after the start, with a clock that is wrong by so much.
    fn after(ms: i64, wrong_by: i64) -> Now {
        let mono = Mono(u64::try_from(ms).expect("later"));
        Now { mono, wall: Wall(BEGIN + ms + wrong_by), entropy: 0 }
    }

    fn started() -> SteadyWall {
        SteadyWall::start(after(0, 0), None, LONGEST_DOWNTIME)
    }

    #[test]
    fn a_clock_that_jumps_is_in_doubt_until_it_has_come_back() {
        for jump in [31 * DAY, HOUR, 11_000, -11_000, -HOUR, -31 * DAY] {
            let mut steady = started();
            let told = steady.observe(after(5_000, jump));
            assert_eq!(told, Some(ClockNews::Parted { ahead_ms: jump }));
            assert_eq!(steady.observe(after(5_500, jump)), None);
            assert!(steady.is_parted(), "{jump}");
            let lesser = Wall(BEGIN + 6_000 + jump.min(0));
            assert_eq!(steady.of(after(6_000, jump)).wall, lesser, "{jump}");
            assert_eq!(steady.observe(after(60_000, 0)), Some(ClockNews::Believed));
            assert!(!steady.is_parted(), "{jump}");
        }
    }

    #[test]
    fn small_corrections_are_followed_and_creeping_is_not() {
        let mut steady = started();
        for minute in 0..600 {
            // A second each ten minutes: what a bad crystal does, many times over.
            steady.observe(after(minute * 60_000, minute * 100));
            assert!(!steady.is_parted(), "{minute}");
        }
        let mut steady = started();
        let parted = (0..600).find(|second| {
            steady.observe(after(second * 1_000, second * 1_000));
            steady.is_parted()
        });
        assert_eq!(parted, Some(11));
    }

    #[test]
    fn a_clock_that_stays_where_it_jumped_to_is_believed_after_a_day() {
        for jump in [31 * DAY, -31 * DAY] {
            let mut steady = started();
            steady.observe(after(1_000, jump));
            steady.observe(after(DAY, jump));
            assert!(steady.is_parted());
            // Another jump in between begins the day anew.
            steady.observe(after(DAY + 500, jump + HOUR));
            steady.observe(after(DAY + 2_000, jump));
            steady.observe(after(2 * DAY + 1_000, jump));
            assert!(steady.is_parted());
            steady.observe(after(2 * DAY + 2_000, jump));
            assert!(!steady.is_parted());
            let now = after(2 * DAY + 3_000, jump);
            assert_eq!(steady.of(now), now);
        }
    }

    #[test]
    fn at_a_start_the_clock_is_doubted_by_what_was_written_last() {
        for (last_written, parted) in
            [(0, false), (-HOUR, false), (-HOUR - 1, true), (10_000, false), (10_001, true)]
        {
            let last = Some(Wall(BEGIN + last_written));
            let mut steady = SteadyWall::start(after(0, 0), last, LONGEST_DOWNTIME);
            let told = steady.observe(after(0, 0));
            assert_eq!(told, parted.then_some(ClockNews::Parted { ahead_ms: -last_written }));
            assert_eq!(steady.is_parted(), parted, "{last_written}");
            let lesser = if parted { last_written.min(0) } else { 0 };
            assert_eq!(steady.of(after(0, 0)).wall, Wall(BEGIN + lesser), "{last_written}");
        }
    }

    #[test]
    fn what_ends_while_the_clock_is_behind_is_no_older_than_it_is() {
        let mut steady = started();
        assert_eq!(steady.ended(Wall(BEGIN), Mono(4_000)), Wall(BEGIN));
        steady.observe(after(4_000, -31 * DAY));
        assert_eq!(steady.ended(after(4_500, -31 * DAY).wall, Mono(5_000)), Wall(BEGIN + 5_000));
        // What ended before is not made older or younger.
        assert_eq!(steady.ended(Wall(BEGIN + 9_000), Mono(5_000)), Wall(BEGIN + 9_000));
        steady.observe(after(6_000, 31 * DAY));
        let late = after(6_000, 31 * DAY).wall;
        assert_eq!(steady.ended(late, Mono(6_000)), late);
    }
}
