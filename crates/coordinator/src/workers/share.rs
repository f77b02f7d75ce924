//! How many of its calls the first worker leaves to another one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tercet_clock::Stopwatch;
use tokio::runtime::RuntimeMetrics;

/// In these steps it grows and shrinks; so many are all calls.
const ALL: u32 = 16;
/// After so many calls it is looked whether it is time to look at the clock.
const CALLS: u32 = 32;
/// For so long at least it is looked how busy the worker is.
const WINDOW: Duration = Duration::from_millis(5);
/// After a window that is as long and had quiet in it nothing is left of the share at once.
const LONG: Duration = Duration::from_millis(100);
/// A worker that is busier has no time for what comes at once, in percent …
const FULL: u128 = 90;
/// … and one that is less busy has some left.
const ROOM: u128 = 75;

/// The share, by how busy the worker is.
#[derive(Debug)]
pub(super) struct Share {
    // It decides where a call is made, and nothing of what becomes of it.
    since: Stopwatch,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of [`ALL`].
    share: u32,
    /// What of a call is owed to the other one, of [`ALL`].
    owed: u32,
    calls: u32,
    /// When it was looked last, and how long the worker had been busy by then.
    looked: Option<(Duration, Duration)>,
}

impl Share {
    /// Of a worker of which nothing is known yet: it makes all calls.
    pub(super) fn none() -> Self {
        Self { since: Stopwatch::start(), state: Mutex::default() }
    }

    /// Whether the next call is the other one's. `busy` tells of the worker.
    pub(super) fn takes_next(&self, busy: &RuntimeMetrics) -> bool {
        let mut state = self.lock();
        state.calls += 1;
        if state.calls >= CALLS {
            state.calls = 0;
            state.look(self.since.elapsed(), busy.worker_total_busy_duration(0));
        }
        state.next()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing done under this lock panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn look(&mut self, now: Duration, busy: Duration) {
        let Some((at, before)) = self.looked else {
            self.looked = Some((now, busy));
            return;
        };
        let window = now.saturating_sub(at);
        if window < WINDOW {
            return;
        }
        let percent = busy.saturating_sub(before).as_micros() * 100 / window.as_micros().max(1);
        self.share = match percent {
            FULL.. => (self.share + 1).min(ALL),
            ROOM..FULL => self.share,
            _ if window >= LONG => 0,
            _ => self.share.saturating_sub(1),
        };
        self.looked = Some((now, busy));
    }

    fn next(&mut self) -> bool {
        self.owed += self.share;
        let takes = self.owed >= ALL;
        if takes {
            self.owed -= ALL;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a hundred calls, so many are the other one's.
    fn of_a_hundred(state: &mut State) -> usize {
        (0..100).filter(|_| state.next()).count()
    }

    #[test]
    fn it_grows_while_the_worker_is_full_and_shrinks_where_it_has_room() {
        let mut state = State::default();
        state.look(Duration::ZERO, Duration::ZERO);
        let (mut at, mut busy) = (Duration::ZERO, Duration::ZERO);
        let mut pass = |state: &mut State, percent: u32, windows: u32| {
            for _ in 0..windows {
                (at, busy) = (at + WINDOW, busy + WINDOW * percent / 100);
                state.look(at, busy);
            }
        };
        assert_eq!(of_a_hundred(&mut state), 0, "nothing is known yet");
        pass(&mut state, 89, 50);
        assert_eq!(of_a_hundred(&mut state), 0, "it is not full");
        pass(&mut state, 95, 4);
        assert_eq!(of_a_hundred(&mut state), 25);
        pass(&mut state, 80, 50);
        assert_eq!(of_a_hundred(&mut state), 25, "neither full nor with room");
        pass(&mut state, 100, 50);
        assert_eq!(of_a_hundred(&mut state), 100);
        pass(&mut state, 60, 12);
        assert_eq!(of_a_hundred(&mut state), 25);
        pass(&mut state, 0, 4);
        assert_eq!(of_a_hundred(&mut state), 0);
    }

    #[test]
    fn it_is_nothing_after_a_pause() {
        let looked = Some((Duration::ZERO, Duration::ZERO));
        let mut state = State { share: ALL, looked, ..State::default() };
        state.look(WINDOW / 2, WINDOW / 2);
        assert_eq!(state.share, ALL, "too early to say");
        state.look(LONG, LONG);
        assert_eq!(state.share, ALL, "few calls that take long leave no time either");
        state.look(LONG * 2, LONG * 3 / 2);
        assert_eq!(state.share, 0);
    }
}
