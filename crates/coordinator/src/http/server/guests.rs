//! Connections that came when all places were taken. There are a few seats for them, so that
//! whoever asks how the node stands is answered, whatever others do.
//!
//! ```text
//!  silent ──a request──▶ asked ──one that needs a place, and one is free──▶ placed: no guest any more
//!     └─ makes room ◀────┘ only if its answer takes long
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tercet_clock::Stopwatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// Connections that are taken when there is no place for others.
const GUESTS: usize = 16;

/// For so long a guest is sure of its seat once it has asked: as long as Prometheus waits by itself.
/// What guests are answered is at hand, so whoever takes longer is one that does not read.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection without a place of its own. All clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Guest(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    /// It has a seat, and has asked nothing yet.
    Silent,
    /// It has asked, and is answered until its connection ends, since none of them is kept.
    Asked(Stopwatch),
    /// It has a place like any other.
    Placed { _until_it_ends: OwnedSemaphorePermit },
    /// It had to make room.
    Gone,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Silent)))
    }

    /// It asks something. False if it had to make room just before.
    pub(super) fn asks(&self) -> bool {
        let mut state = locked(&self.0);
        if matches!(*state, State::Silent) {
            *state = State::Asked(Stopwatch::start());
        }
        !matches!(*state, State::Gone)
    }

    /// Gives it a place, if one is free by now.
    pub(super) fn takes_place(&self, room: &Arc<Semaphore>) -> bool {
        let mut state = locked(&self.0);
        if matches!(*state, State::Silent | State::Asked(_))
            && let Ok(place) = Arc::clone(room).try_acquire_owned()
        {
            *state = State::Placed { _until_it_ends: place };
        }
        matches!(*state, State::Placed { .. })
    }
}

/// The seats, in the order in which they were taken.
#[derive(Debug, Default)]
pub(super) struct Guests(VecDeque<Seat>);

/// Whoever sits there is gone, place and all, when its connection is.
#[derive(Debug)]
struct Seat {
    guest: Weak<Mutex<State>>,
    connection: AbortHandle,
}

impl Guests {
    /// Whether there is a seat for one more. If all are taken, the first that asks nothing makes
    /// room, since probes say at once what they want; else the first that does not take its answer.
    pub(super) fn have_room(&mut self) -> bool {
        self.have_room_if_answers_take(ANSWER)
    }

    fn have_room_if_answers_take(&mut self, answer: Duration) -> bool {
        self.0.retain(|seat| seat.guest.upgrade().is_some_and(|guest| is_guest(&guest)));
        self.0.len() < GUESTS
            || self.one_leaves(|state| matches!(state, State::Silent))
            || self.one_leaves(
                |state| matches!(state, State::Asked(since) if since.elapsed() >= answer),
            )
    }

    /// Takes a seat.
    pub(super) fn seat(&mut self, guest: &Guest, connection: AbortHandle) {
        self.0.push_back(Seat { guest: Arc::downgrade(&guest.0), connection });
    }

    /// Sends away the first of which this is so. It is looked at and sent away in one piece, so
    /// that it cannot begin to be answered between.
    fn one_leaves(&mut self, may_go: impl Fn(&State) -> bool) -> bool {
        let first = self.0.iter().position(|seat| {
            let Some(guest) = seat.guest.upgrade() else { return true };
            let mut state = locked(&guest);
            let goes = may_go(&state);
            if goes {
                *state = State::Gone;
            }
            goes
        });
        let seat = first.and_then(|first| self.0.remove(first));
        if let Some(seat) = &seat {
            seat.connection.abort();
        }
        seat.is_some()
    }
}

fn is_guest(guest: &Mutex<State>) -> bool {
    match *locked(guest) {
        State::Silent | State::Asked(_) => true,
        State::Placed { .. } | State::Gone => false,
    }
}

/// What is kept there is always whole, whoever panicked.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::JoinSet;

    use super::*;

    /// Guests on all seats, and their connections, which end only if they are sent away.
    struct Full {
        guests: Guests,
        all: Vec<Guest>,
        connections: JoinSet<()>,
    }

    impl Full {
        fn new() -> Self {
            let (guests, all) = (Guests::default(), Vec::new());
            let mut full = Self { guests, all, connections: JoinSet::new() };
            for _ in 0..GUESTS {
                assert!(full.guests.have_room());
                full.seat();
            }
            full
        }

        fn seat(&mut self) {
            let guest = Guest::new();
            self.guests.seat(&guest, self.connections.spawn(pending()));
            self.all.push(guest);
        }

        /// Which of them were sent away.
        fn gone(&self) -> Vec<usize> {
            let is_gone = |guest: &Guest| matches!(*locked(&guest.0), State::Gone);
            (0..self.all.len()).filter(|&n| is_gone(&self.all[n])).collect()
        }
    }

    #[tokio::test]
    async fn the_first_that_asks_nothing_makes_room() {
        let mut full = Full::new();
        for asked in [0, 1, 3] {
            assert!(full.all[asked].asks());
        }
        assert!(full.guests.have_room());
        full.seat();
        assert_eq!(full.gone(), [2]);
        let ended = full.connections.join_next().await.expect("there are some");
        assert!(ended.expect_err("it was sent away").is_cancelled());
        assert!(!full.all[2].asks(), "nothing is begun for one that was sent away");
        assert!(!full.all[2].takes_place(&Arc::new(Semaphore::new(1))));
        assert!(full.guests.have_room());
        assert_eq!(full.gone(), [2, 4]);
    }

    #[tokio::test]
    async fn whoever_is_being_answered_keeps_its_seat_for_a_while() {
        let mut full = Full::new();
        for guest in &full.all {
            assert!(guest.asks());
        }
        assert!(!full.guests.have_room_if_answers_take(Duration::MAX));
        assert_eq!(full.gone(), [0; 0]);
        // One that has had its time, and reads nothing.
        assert!(full.guests.have_room_if_answers_take(Duration::ZERO));
        assert_eq!(full.gone(), [0]);
    }

    #[tokio::test]
    async fn whoever_has_a_place_is_no_guest_and_its_seat_is_free() {
        let mut full = Full::new();
        let room = Arc::new(Semaphore::new(1));
        for guest in &full.all {
            assert!(guest.asks());
        }
        assert!(full.all[0].takes_place(&room) && full.all[0].takes_place(&room));
        assert!(!full.all[1].takes_place(&room), "there was one place");
        assert!(full.guests.have_room_if_answers_take(Duration::MAX));
        full.seat();
        assert!(full.all[GUESTS].asks());
        assert!(!full.guests.have_room_if_answers_take(Duration::MAX));
        assert_eq!(full.gone(), [0; 0]);
        // Its place is free as soon as its connection is gone: no seat holds it.
        drop(full.all.remove(0));
        assert_eq!(room.available_permits(), 1);
    }
}
