//! How long things took: the middle, the tail, the worst.

use std::fmt;
use std::time::Duration;

/// Durations in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut durations: Vec<Duration> = durations.into_iter().collect();
        durations.sort_unstable();
        Self(durations)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest that at least so many of a hundred do not exceed; zero if there is none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

/// A duration as people read it.
pub(crate) struct Short(pub(crate) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1_000.0;
        if ms < 10.0 {
            write!(f, "{ms:.1} ms")
        } else if ms < 1_000.0 {
            write!(f, "{ms:.0} ms")
        } else {
            write!(f, "{:.2} s", ms / 1_000.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_durations_that_were_seen() {
        let spread = Spread::of((1..=200).rev().map(Duration::from_millis));
        for (percent, ms) in [(50, 100), (99, 198), (100, 200), (0, 1)] {
            assert_eq!(spread.percentile(percent), Duration::from_millis(ms), "{percent}");
        }
        assert_eq!(spread.max(), Duration::from_millis(200));
        assert_eq!(Spread::of([]).percentile(99), Duration::ZERO);
    }

    #[test]
    fn durations_are_short() {
        let table = [(1_234, "1.2 ms"), (12_345, "12 ms"), (1_234_567, "1.23 s")];
        for (us, expected) in table {
            assert_eq!(Short(Duration::from_micros(us)).to_string(), expected);
        }
    }
}
