//! All destinations that are called, and those that were called not long ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tercet_protocol::{Destination as Name, host_port};
use url::Url;

use super::destination::Destination;
use crate::metrics::Participants;

/// Most destinations are called again, so they are kept when they have no calls; when
/// there are this many, those are forgotten. The ones with calls are bounded by the
/// places in the runtime's inbox, of which every call holds one.
const REMEMBERED: usize = 1_024;

/// All destinations.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    participants: Participants,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<Box<str>, Arc<Destination>>,
    /// How many there were after the last forgetting.
    busy: usize,
}

impl Destinations {
    /// The destination of a URL.
    pub(super) fn of(&self, url: &Url, path_segments: usize) -> Arc<Destination> {
        let key = Name::key(url, path_segments);
        // Nothing done under this lock panics half-way, so a poisoned map is a whole one.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(destination) = known.by_key.get(key) {
            return Arc::clone(destination);
        }
        // Looking through all of them pays only when their number has doubled since.
        if known.by_key.len() >= REMEMBERED.max(known.busy * 2) {
            // Whoever has calls there holds a clone, and clones are handed out under this lock only.
            known.by_key.retain(|_, destination| Arc::strong_count(destination) > 1);
            known.busy = known.by_key.len();
        }
        let destination = Arc::new(Destination::new(self.participants.of(&host_port(url))));
        known.by_key.insert(Box::from(key), Arc::clone(&destination));
        destination
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(n: usize) -> Url {
        Url::parse(&format!("http://h{n}/service/try")).expect("a URL")
    }

    #[test]
    fn destinations_without_calls_are_forgotten_and_those_with_calls_are_not() {
        let destinations = Destinations::default();
        let busy = destinations.of(&url(0), 1);
        for n in 1..REMEMBERED * 3 {
            let _ = destinations.of(&url(n), 1);
            let known = destinations.known.lock().expect("not poisoned").by_key.len();
            assert!(known <= REMEMBERED, "{known} are known after {n}");
        }
        assert!(Arc::ptr_eq(&busy, &destinations.of(&url(0), 1)));
    }

    #[test]
    fn the_legs_of_a_participant_share_one_destination() {
        let destinations = Destinations::default();
        let confirm = Url::parse("http://h0/service/confirm?x=1").expect("a URL");
        assert!(Arc::ptr_eq(&destinations.of(&url(0), 1), &destinations.of(&confirm, 1)));
        assert!(!Arc::ptr_eq(&destinations.of(&url(0), 1), &destinations.of(&url(1), 1)));
    }
}
