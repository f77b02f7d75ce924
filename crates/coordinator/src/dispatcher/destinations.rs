//! All destinations that are called, and those that were called not long ago.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tercet_engine::{Destination, DestinationQueueSettings, ParticipantHealth};
use tercet_wire::host_port;
use url::Url;

use super::breaker_turns::BreakerTurns;
use super::destination::DestinationHandle;
use crate::metrics::{ParticipantMetrics, Participants};

/// Most destinations are called again, so they are kept when they have no calls; when
/// there are this many, those are forgotten. The ones with calls are bounded by the
/// places in the runtime's inbox, of which every call holds one.
const REMEMBERED: usize = 1_024;

/// All destinations.
#[derive(Debug)]
pub(super) struct Destinations {
    settings: DestinationQueueSettings,
    path_segments: usize,
    participants: Participants,
    turns: BreakerTurns,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<Box<str>, Arc<DestinationHandle>>,
    /// How many there were after the last forgetting.
    busy: usize,
}

impl Destinations {
    pub(super) fn new(settings: DestinationQueueSettings, path_segments: usize) -> Self {
        let (participants, turns, known) = Default::default();
        Self { settings, path_segments, participants, turns, known }
    }

    /// Tells whose breakers have opened and closed.
    pub(super) fn turns(&self) -> BreakerTurns {
        self.turns.clone()
    }

    /// The destination of a URL.
    pub(super) fn of(&self, url: &Url) -> Arc<DestinationHandle> {
        let key = Destination::key(url, self.path_segments);
        let mut known = self.lock();
        if let Some(destination) = known.by_key.get(key) {
            return Arc::clone(destination);
        }
        // Looking through all of them pays only when their number has doubled since.
        if known.by_key.len() >= REMEMBERED.max(known.busy * 2) {
            // Whoever has calls there, or watches over those that wait, holds a clone; and clones
            // are handed out under this lock only.
            known.by_key.retain(|_, destination| Arc::strong_count(destination) > 1);
            known.busy = known.by_key.len();
        }
        let participant = host_port(url);
        let metrics = self.participants.of(&participant);
        let name = Destination::of(url, self.path_segments);
        let turns = self.turns();
        let handle = DestinationHandle::new(name, participant, metrics, turns, self.settings);
        let destination = Arc::new(handle);
        known.by_key.insert(Box::from(key), Arc::clone(&destination));
        destination
    }

    /// A destination, unless it has been forgotten.
    pub(super) fn named(&self, name: &Destination) -> Option<Arc<DestinationHandle>> {
        self.lock().by_key.get(name.as_str()).map(Arc::clone)
    }

    /// What is counted of a participant.
    pub(super) fn metrics(&self, participant: &str) -> Arc<ParticipantMetrics> {
        self.participants.of(participant)
    }

    /// How it stands with every participant that is known, by name.
    pub(super) fn participants(&self) -> Vec<ParticipantHealth> {
        let mut all: BTreeMap<String, ParticipantHealth> = BTreeMap::new();
        for health in self.all().iter().map(|destination| destination.health()) {
            match all.get_mut(&health.participant) {
                Some(sum) => add(sum, &health),
                None => {
                    all.insert(health.participant.clone(), health);
                }
            }
        }
        all.into_values().collect()
    }

    /// Every one that is known.
    pub(super) fn all(&self) -> Vec<Arc<DestinationHandle>> {
        self.lock().by_key.values().map(Arc::clone).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing done under this lock panics half-way, so a poisoned map is a whole one.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two destinations of one participant.
fn add(sum: &mut ParticipantHealth, other: &ParticipantHealth) {
    sum.in_flight += other.in_flight;
    sum.waiting += other.waiting;
    sum.breaker = sum.breaker.max(other.breaker);
    sum.open_since = sum.open_since.into_iter().chain(other.open_since).min();
    sum.calls += other.calls;
    sum.failures += other.failures;
    sum.answers += other.answers;
}

#[cfg(test)]
mod tests {
    use super::super::DispatcherSettings;
    use super::*;

    fn destinations() -> Destinations {
        Destinations::new(DispatcherSettings::built_in().queue, 1)
    }

    fn url(n: usize) -> Url {
        Url::parse(&format!("http://h{n}/service/try")).expect("a URL")
    }

    #[test]
    fn destinations_without_calls_are_forgotten_and_those_with_calls_are_not() {
        let destinations = destinations();
        let busy = destinations.of(&url(0));
        for n in 1..REMEMBERED * 3 {
            let _ = destinations.of(&url(n));
            let known = destinations.known.lock().expect("not poisoned").by_key.len();
            assert!(known <= REMEMBERED, "{known} are known after {n}");
        }
        assert!(Arc::ptr_eq(&busy, &destinations.of(&url(0))));
        assert!(destinations.named(&busy.name).is_some());
        assert!(destinations.participants().len() <= REMEMBERED);
    }

    #[test]
    fn the_legs_of_a_participant_share_one_destination() {
        let destinations = destinations();
        let confirm = Url::parse("http://h0/service/confirm?x=1").expect("a URL");
        assert!(Arc::ptr_eq(&destinations.of(&url(0)), &destinations.of(&confirm)));
        assert!(!Arc::ptr_eq(&destinations.of(&url(0)), &destinations.of(&url(1))));
        let other = Url::parse("http://h0/other/try").expect("a URL");
        assert!(!Arc::ptr_eq(&destinations.of(&url(0)), &destinations.of(&other)));
        let names = destinations.participants().into_iter().map(|health| health.participant);
        assert_eq!(names.collect::<Vec<_>>(), ["h0:80", "h1:80"]);
    }
}
