//! The sign that the loop turns, for whoever asks whether the process is alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tercet_wire::Mono;

/// How long the loop may sleep between two beats, when nothing is due.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// No loop turns: it has not begun, or it has ended in order.
const NONE: u64 = u64::MAX;

/// When the loop last went round. Cheap to clone; all clones tell of the same loop.
#[derive(Debug, Clone)]
pub struct Beat(Arc<AtomicU64>);

impl Default for Beat {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(NONE)))
    }
}

impl Beat {
    /// The loop goes round.
    pub fn beat(&self, now: Mono) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// The loop has ended, and nobody expects a beat any more.
    pub fn end(&self) {
        self.0.store(NONE, Ordering::Relaxed);
    }

    /// How long ago the last beat was; none where no loop turns.
    #[must_use]
    pub fn age(&self, now: Mono) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            NONE => None,
            at => Some(now.since(Mono(at))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_as_old_as_it_is_and_none_is_expected_of_no_loop() {
        let beat = Beat::default();
        assert_eq!(beat.age(Mono(9)), None);
        beat.clone().beat(Mono(1_000));
        assert_eq!(beat.age(Mono(4_500)), Some(Duration::from_millis(3_500)));
        beat.end();
        assert_eq!(beat.age(Mono(9_000)), None);
    }
}
