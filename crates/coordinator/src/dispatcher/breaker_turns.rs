//! Tells the runtime which breakers have opened and closed. What nobody has fetched yet is kept
//! once per destination, so that it is bounded by their number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_engine::Destination;
use tokio::sync::Notify;

/// What became of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerTurn {
    /// It has opened.
    Opened,
    /// It has closed: its destination answers.
    Closed,
    /// Nobody has asked for its destination any more while it was open.
    Forgotten,
}

/// Breakers that have turned, as they are told.
#[derive(Debug, Clone, Default)]
pub struct BreakerTurns {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    untold: Mutex<BTreeMap<Destination, BreakerTurn>>,
    news: Notify,
}

impl BreakerTurns {
    /// The next destination whose breaker has turned, and how. To give up waiting loses nothing.
    pub async fn next(&self) -> (Destination, BreakerTurn) {
        loop {
            if let Some(turned) = self.untold().pop_first() {
                return turned;
            }
            self.shared.news.notified().await;
        }
    }

    pub(super) fn tell(&self, destination: &Destination, turn: BreakerTurn) {
        self.untold().insert(destination.clone(), turn);
        self.shared.news.notify_one();
    }

    fn untold(&self) -> MutexGuard<'_, BTreeMap<Destination, BreakerTurn>> {
        // Nothing done under this lock panics half-way, so a poisoned map is a whole one.
        self.shared.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_each_destination_the_latest_turn_is_told_once() {
        let turns = BreakerTurns::default();
        let destination = |url: &str| Destination::of(&url.parse().expect("a URL"), 1);
        let (a, b) = (destination("http://h/a"), destination("http://h/b"));
        use BreakerTurn::{Closed, Opened};
        for (destination, turn) in [(&b, Opened), (&a, Opened), (&b, Closed)] {
            turns.tell(destination, turn);
        }
        assert_eq!([turns.next().await, turns.next().await], [(a, Opened), (b, Closed)]);
        assert!(turns.untold().is_empty());
    }
}
