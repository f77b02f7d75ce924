//! How long to wait before a failed call is made again: exponential, with full
//! jitter (a uniform pick between nothing and the step), so that participants
//! that return are not met by everybody at once.
//! Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// The shape of the retry rule; both in config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// Longest pause after the first failure.
    pub first: Duration,
    /// Longest pause after any failure.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), cap: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// Pause after the `failures`-th failure in a row (from 1). `entropy` is uniformly
    /// random; `asked` is the least pause the participant asked for.
    #[must_use]
    pub fn pause(&self, failures: u32, entropy: u64, asked: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let step = self.first.saturating_mul(1 << doublings).min(self.cap);
        let step_ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
        let jittered = Duration::from_millis(entropy % step_ms.saturating_add(1));
        jittered.max(asked.unwrap_or_default())
    }
}

/// Spreads one piece of luck over several uses within the same input, so that
/// siblings do not get the same jitter. (SplitMix64's finalizer, Steele et al. 2014.)
#[must_use]
pub fn spread(entropy: u64, use_: u64) -> u64 {
    let mut z = entropy.wrapping_add(use_.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_doubles_up_to_the_cap() {
        let backoff = Backoff::default();
        let table = [
            (1, 100),
            (2, 200),
            (3, 400),
            (8, 12_800),
            (9, 25_600),
            (10, 30_000),
            (40, 30_000),
            (u32::MAX, 30_000),
        ];
        for (failures, longest_ms) in table {
            // `longest` is the greatest remainder the pick can leave.
            let longest = Duration::from_millis(longest_ms);
            assert_eq!(backoff.pause(failures, longest_ms, None), longest, "{failures}");
            assert_eq!(backoff.pause(failures, longest_ms + 1, None), Duration::ZERO);
            for entropy in [0, 7, u64::MAX] {
                assert!(backoff.pause(failures, entropy, None) <= longest);
            }
        }
    }

    #[test]
    fn a_participant_gets_at_least_the_pause_it_asked_for() {
        let backoff = Backoff::default();
        let asked = Duration::from_secs(2);
        assert_eq!(backoff.pause(1, 50, Some(asked)), asked);
        assert_eq!(backoff.pause(10, 29_000, Some(asked)), Duration::from_secs(29));
    }

    #[test]
    fn siblings_get_different_luck() {
        let picks: std::collections::BTreeSet<u64> =
            (0..64).map(|b| spread(7, b) % 1_000).collect();
        assert!(picks.len() > 55, "{} of 64 differ", picks.len());
    }
}
