//! How many transactions a node acts on in a second, over all its jobs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_wire::Mono;
use tokio::time::sleep;

/// So many are let through together where there may be many in a second.
const WINDOW_MS: u64 = 100;

/// Lets so many through in a second.
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    /// How long a window is, and how many go through in one.
    window: Duration,
    most: u32,
    now: Mutex<Window>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began: Mono,
    used: u32,
}

impl Pace {
    pub(super) fn new(clock: Arc<dyn Clock>, per_second: u32) -> Self {
        let per_second = per_second.max(1);
        let (window, most) = match per_second {
            few @ ..100 => (1_000 / u64::from(few), 1),
            many => (WINDOW_MS, many / 10),
        };
        let now = Window { began: clock.mono(), used: 0 };
        Self { clock, window: Duration::from_millis(window), most, now: Mutex::new(now) }
    }

    /// How many go through in a quarter of a second, at least one: whoever does so many looks whether
    /// it is to go on before somebody who has stopped it wonders.
    pub(super) fn in_a_moment(&self) -> usize {
        let windows = 250 / u32::try_from(self.window.as_millis()).unwrap_or(u32::MAX).max(1);
        usize::try_from((windows * self.most).max(1)).unwrap_or(1)
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        while let Some(pause) = self.take(self.clock.mono()) {
            sleep(pause).await;
        }
    }

    /// Takes a turn; or how long to wait before asking again.
    fn take(&self, now: Mono) -> Option<Duration> {
        let mut window = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= window.began.after(self.window) {
            *window = Window { began: now, used: 0 };
        }
        if window.used < self.most {
            window.used += 1;
            return None;
        }
        Some(window.began.after(self.window).since(now).max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use tercet_clock::SystemClock;

    use super::*;

    #[test]
    fn few_a_second_are_few_between_two_looks() {
        for (per_second, expected) in [(1, 1), (2, 1), (8, 2), (200, 40), (1_000, 200)] {
            let pace = Pace::new(Arc::new(SystemClock::start()), per_second);
            assert_eq!(pace.in_a_moment(), expected, "{per_second}");
        }
    }

    #[test]
    fn a_second_has_no_more_turns_than_it_may() {
        for (per_second, at_least) in [(1, 1), (7, 7), (99, 90), (200, 200), (10_000, 10_000)] {
            let pace = Pace::new(Arc::new(SystemClock::start()), per_second);
            let mut turns = 0_u32;
            // Whenever it is asked.
            for millis in 0..10_000 {
                while pace.take(Mono(1_000_000 + millis)).is_none() {
                    turns += 1;
                }
            }
            assert!(turns <= 10 * (per_second + per_second / 10 + 1), "{per_second}: {turns}");
            assert!(turns >= 10 * at_least, "{per_second}: {turns}");
        }
    }
}
