//! Whether the wall clock can be right when a node starts, by what its last life wrote.

use std::time::Duration;

use tercet_protocol::Wall;

/// How far a clock may stand behind what was written by it without anybody being told: it is
/// set right now and then.
const LEEWAY: Duration = Duration::from_secs(1);

/// What a node thinks of its wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockCheck {
    /// It may be right.
    Plausible,
    /// It is further ahead than any stop explains.
    Ahead(Duration),
    /// It stands before a moment that was written down.
    Behind(Duration),
}

impl ClockCheck {
    /// Compares the clock with the last moment that was written, if there is one.
    pub(crate) fn of(last_written: Option<Wall>, now: Wall, longest_stop: Duration) -> Self {
        let Some(last_written) = last_written else { return Self::Plausible };
        let (ahead, behind) = (now.since(last_written), last_written.since(now));
        if ahead > longest_stop {
            Self::Ahead(ahead)
        } else if behind > LEEWAY {
            Self::Behind(behind)
        } else {
            Self::Plausible
        }
    }

    /// Tells people, where there is something to tell; says whether deadlines that the clock
    /// calls over are to be doubted.
    pub(crate) fn tell(self) -> bool {
        match self {
            Self::Plausible => false,
            Self::Ahead(by) => {
                tracing::warn!(
                    seconds = by.as_secs(),
                    "the journal was last written longer ago than node.longest_stop_ms: the node \
                     was down that long, or its clock is wrong. Transactions whose deadline has \
                     passed meanwhile get one more round of Try before they are cancelled"
                );
                true
            }
            Self::Behind(by) => {
                tracing::warn!(
                    seconds = by.as_secs_f64(),
                    "the clock stands before what the journal was last written with: it was wrong \
                     then, or it is now. Deadlines come later by as much, and timestamps are not \
                     in order; nothing else depends on it"
                );
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_doubted_beyond_the_longest_stop_and_before_what_was_written() {
        const HOUR: Duration = Duration::from_hours(1);
        let table = [
            (None, 9_999_999_999, ClockCheck::Plausible),
            (Some(1_000_000), 1_000_000, ClockCheck::Plausible),
            (Some(1_000_000), 4_600_000, ClockCheck::Plausible),
            (Some(1_000_000), 4_600_001, ClockCheck::Ahead(HOUR + Duration::from_millis(1))),
            (Some(1_000_000), 999_000, ClockCheck::Plausible),
            (Some(1_000_000), 998_999, ClockCheck::Behind(Duration::from_millis(1_001))),
        ];
        for (written, now, expected) in table {
            let found = ClockCheck::of(written.map(Wall), Wall(now), HOUR);
            assert_eq!(found, expected, "{written:?} at {now}");
        }
    }
}
