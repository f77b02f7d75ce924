//! Tells the runtime which breakers have opened and closed. What nobody has fetched yet is kept
//! once per destination, so that it is bounded by their number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_engine::Destination;
use tokio::sync::Notify;

/// Breakers that have turned, as they are told.
#[derive(Debug, Clone, Default)]
pub struct BreakerTurns {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    untold: Mutex<BTreeMap<Destination, bool>>,
    news: Notify,
}

impl BreakerTurns {
    /// The next destination whose breaker has turned, and whether it is open now. To give up
    /// waiting loses nothing.
    pub async fn next(&self) -> (Destination, bool) {
        loop {
            if let Some(turned) = self.untold().pop_first() {
                return turned;
            }
            self.shared.news.notified().await;
        }
    }

    pub(super) fn tell(&self, destination: &Destination, is_open: bool) {
        self.untold().insert(destination.clone(), is_open);
        self.shared.news.notify_one();
    }

    fn untold(&self) -> MutexGuard<'_, BTreeMap<Destination, bool>> {
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
        for (destination, is_open) in [(&b, true), (&a, true), (&b, false)] {
            turns.tell(destination, is_open);
        }
        assert_eq!([turns.next().await, turns.next().await], [(a, true), (b, false)]);
        assert!(turns.untold().is_empty());
    }
}
