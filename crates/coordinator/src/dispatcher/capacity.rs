//! Tells the runtime which destinations have room again. What nobody has fetched yet is
//! kept once per destination, so that it is bounded by their number.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_engine::{Capacity, CapacityFreed, Destination, FreedCapacities};
use tokio::sync::Notify;

/// Destinations that have room, as they are told.
#[derive(Debug, Clone, Default)]
pub struct FreedCapacity {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    untold: Mutex<FreedCapacities>,
    news: Notify,
}

impl FreedCapacity {
    /// The next destination that has room. Each is told to one of those who wait here; to give
    /// up waiting loses nothing.
    pub async fn next(&self) -> CapacityFreed {
        loop {
            if let Some(freed) = self.take() {
                return freed;
            }
            self.shared.news.notified().await;
        }
    }

    /// One that is told already, if any is.
    #[must_use]
    pub fn take(&self) -> Option<CapacityFreed> {
        self.untold().pop()
    }

    pub(super) fn tell(&self, destination: &Destination, room: Capacity) {
        let Capacity { places, healed } = room;
        self.untold().add(CapacityFreed { destination: destination.clone(), places, healed });
        self.shared.news.notify_one();
    }

    fn untold(&self) -> MutexGuard<'_, FreedCapacities> {
        // Nothing done under this lock panics half-way, so a poisoned map is a whole one.
        self.shared.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(url: &str) -> Destination {
        Destination::of(&url.parse().expect("a URL"), 1)
    }

    #[tokio::test]
    async fn each_destination_is_told_once_with_the_latest_of_its_room() {
        let capacity = FreedCapacity::default();
        let (a, b) = (destination("http://h/a"), destination("http://h/b"));
        for (destination, places, healed) in [(&b, 9, true), (&a, 1, false), (&b, 2, false)] {
            capacity.tell(destination, Capacity { places, healed });
        }
        let told = [capacity.next().await, capacity.next().await];
        let expected = [
            CapacityFreed { destination: a, places: 1, healed: false },
            CapacityFreed { destination: b, places: 2, healed: true },
        ];
        assert_eq!(told, expected);
        assert_eq!(capacity.take(), None);
    }
}
