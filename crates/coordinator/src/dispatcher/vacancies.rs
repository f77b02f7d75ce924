//! Tells the runtime which destinations have room again. What nobody has fetched yet is
//! kept once per destination, so that it is bounded by their number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_engine::{Destination, Room, Vacancy};
use tokio::sync::Notify;

/// Destinations that have room, as they are told.
#[derive(Debug, Clone, Default)]
pub struct Vacancies {
    told: Arc<Told>,
}

#[derive(Debug, Default)]
struct Told {
    rooms: Mutex<BTreeMap<Destination, Room>>,
    news: Notify,
}

impl Vacancies {
    /// The next destination that has room. Each is told to one of those who wait here; to give
    /// up waiting loses nothing.
    pub async fn next(&self) -> Vacancy {
        loop {
            if let Some(vacancy) = self.take() {
                return vacancy;
            }
            self.told.news.notified().await;
        }
    }

    /// One that is told already, if any is.
    #[must_use]
    pub fn take(&self) -> Option<Vacancy> {
        let (destination, Room { places, healed }) = self.rooms().pop_first()?;
        Some(Vacancy { destination, places, healed })
    }

    pub(super) fn tell(&self, destination: &Destination, room: Room) {
        // What is newer counts; that it has recovered must not get lost.
        let mut rooms = self.rooms();
        let told = rooms.entry(destination.clone()).or_insert(room);
        *told = Room { places: room.places, healed: told.healed || room.healed };
        drop(rooms);
        self.told.news.notify_one();
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<Destination, Room>> {
        // Nothing done under this lock panics half-way, so a poisoned map is a whole one.
        self.told.rooms.lock().unwrap_or_else(PoisonError::into_inner)
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
        let vacancies = Vacancies::default();
        let (a, b) = (destination("http://h/a"), destination("http://h/b"));
        for (destination, places, healed) in [(&b, 9, true), (&a, 1, false), (&b, 2, false)] {
            vacancies.tell(destination, Room { places, healed });
        }
        let told = [vacancies.next().await, vacancies.next().await];
        let expected = [
            Vacancy { destination: a, places: 1, healed: false },
            Vacancy { destination: b, places: 2, healed: true },
        ];
        assert_eq!(told, expected);
        assert_eq!(vacancies.take(), None);
    }
}
