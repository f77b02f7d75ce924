//! Two kinds of time. Neither is ever read here: both arrive with the input.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Milliseconds on a clock that never jumps; its zero means nothing. For timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// This long after `self`.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(wait)))
    }

    /// How long from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// UTC milliseconds since 1970-01-01, as stored and shown. For timestamps, never for timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

/// The text is not a time, or a later one than there can be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be an RFC 3339 time such as 2026-11-20T12:00:00.000Z, and none after {max}", max = Wall::MAX)]
pub struct InvalidTime;

impl Wall {
    /// The last moment that can be written as RFC 3339: the end of the year 9999.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// This long after `self`.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(wait).min(Self::MAX.0))
    }

    /// How long from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.clamp(0, Self::MAX.0);
        let at = Timestamp::from_millisecond(shown).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{at:.3}")
    }
}

impl std::str::FromStr for Wall {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let at: Timestamp = text.parse().map_err(|_| InvalidTime)?;
        Ok(Self(at.as_millisecond()))
    }
}

impl Serialize for Wall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// When an input is handled, and the luck it is handled with. The engine has no
/// clock and no dice of its own, so the same inputs give the same outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// For timestamps.
    pub wall: Wall,
    /// Uniformly random bits, from which jitter is taken.
    pub entropy: u64,
}

impl Now {
    /// The wall time that a moment of the monotonic clock corresponds to.
    #[must_use]
    pub fn wall_at(&self, at: Mono) -> Wall {
        if at >= self.mono {
            self.wall.after(at.since(self.mono))
        } else {
            Wall(self.wall.0.saturating_sub_unsigned(self.mono.0 - at.0))
        }
    }

    /// The moment of the monotonic clock that a wall time corresponds to. A wall
    /// time in the past is now.
    #[must_use]
    pub fn mono_at(&self, at: Wall) -> Mono {
        self.mono.after(at.since(self.wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc_with_milliseconds() {
        assert_eq!(Wall(1_763_640_000_007).to_string(), "2025-11-20T12:00:00.007Z");
        assert_eq!(Wall(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!("2025-11-20T13:00:00+01:00".parse(), Ok(Wall(1_763_640_000_000)));
        assert_eq!("yesterday".parse::<Wall>(), Err(InvalidTime));
        assert!(Wall(i64::MAX).to_string().starts_with("9999-"));
    }

    #[test]
    fn a_wall_time_in_the_past_is_now_for_timers() {
        let now = Now { mono: Mono(5), wall: Wall(1_000), entropy: 0 };
        assert_eq!(now.mono_at(Wall(900)), Mono(5));
        assert_eq!(now.mono_at(Wall(1_100)), Mono(105));
        assert_eq!(now.wall_at(Mono(105)), Wall(1_100));
        assert_eq!(now.wall_at(Mono(0)), Wall(995));
    }
}
