//! What was seen of all lives so far, for people and for what no life can see of itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tercet_engine::{LifeRow, LifeState};
use tercet_wire::{Incarnation, Mono};

/// All lives, as they were seen last. Cheap to clone; all clones speak of the same.
#[derive(Debug, Clone, Default)]
pub struct Sightings(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    lives: BTreeMap<Incarnation, (LifeRow, Mono)>,
    /// Whether anybody has looked.
    looked: bool,
}

/// What a look has shown that the one before had not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Lives that were not there before; none are new to the first look.
    pub(super) joined: Vec<LifeRow>,
    /// Lives that were live, and are not.
    pub(super) over: Vec<LifeRow>,
    /// Lives whose last batch is older than it was, and which it was: a row only ever counts up.
    pub(super) went_back: Vec<(LifeRow, i64)>,
}

impl Sightings {
    /// All rows were read, asked for at this moment.
    pub(super) fn looked(&self, rows: &[LifeRow], asked: Mono) -> Changes {
        let mut seen = self.seen();
        let is_first = !std::mem::replace(&mut seen.looked, true);
        let mut changes = Changes::default();
        let mut lives = BTreeMap::new();
        for row in rows {
            let before = seen.lives.get(&row.incarnation);
            match before {
                None if is_first => {}
                None => changes.joined.push(row.clone()),
                Some((was, _)) => {
                    if row.batch_no < was.batch_no {
                        changes.went_back.push((row.clone(), was.batch_no));
                    }
                    if was.state == LifeState::Live && row.state != LifeState::Live {
                        changes.over.push(row.clone());
                    }
                }
            }
            let since = before.filter(|(was, _)| was == row).map_or(asked, |(_, since)| *since);
            lives.insert(row.incarnation, (row.clone(), since));
        }
        seen.lives = lives;
        changes
    }

    /// How many lives were seen last in this state.
    #[must_use]
    pub fn count(&self, state: LifeState) -> usize {
        self.seen().lives.values().filter(|(row, _)| row.state == state).count()
    }

    /// Those that were live.
    #[must_use]
    pub fn live(&self) -> Vec<Incarnation> {
        let seen = self.seen();
        let live = seen.lives.values().filter(|(row, _)| row.state == LifeState::Live);
        live.map(|(row, _)| row.incarnation).collect()
    }

    /// Whether this life was live when it was seen last.
    #[must_use]
    pub fn is_live(&self, life: Incarnation) -> bool {
        self.seen().lives.get(&life).is_some_and(|(row, _)| row.state == LifeState::Live)
    }

    /// How long ago this life was first seen as it is, if it was seen.
    #[must_use]
    pub fn unchanged_for(&self, life: Incarnation, now: Mono) -> Option<Duration> {
        self.seen().lives.get(&life).map(|(_, since)| now.since(*since))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing in there panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64, state: LifeState, batch_no: i64) -> LifeRow {
        let (incarnation, node_id) = (Incarnation(number), format!("node-{number}"));
        LifeRow { incarnation, node_id, state, batch_no }
    }

    #[test]
    fn a_look_tells_who_came_who_is_over_and_that_the_database_went_back() {
        use LifeState::{Fenced, Left, Live};
        let sightings = Sightings::default();
        let looked = |rows: &[LifeRow], at| sightings.looked(rows, Mono(at));
        // Whoever is there already has not just come.
        let first = [row(1, Live, 5), row(2, Live, 5), row(3, Fenced, 5)];
        assert_eq!(looked(&first, 1_000), Changes::default());
        let second = [row(1, Live, 6), row(2, Left, 6), row(3, Fenced, 5), row(4, Live, 0)];
        let changes = looked(&second, 2_000);
        let expected = Changes {
            joined: vec![row(4, Live, 0)],
            over: vec![row(2, Left, 6)],
            went_back: Vec::new(),
        };
        assert_eq!(changes, expected);
        let ages = [1, 2, 3, 4, 5].map(|number| {
            sightings.unchanged_for(Incarnation(number), Mono(2_500)).map(|age| age.as_millis())
        });
        assert_eq!(ages, [Some(500), Some(500), Some(1_500), Some(500), None]);
        assert_eq!(LifeState::ALL.map(|state| sightings.count(state)), [2, 1, 1]);
        // A replica that was behind has taken the database's place.
        let changes = looked(&[row(1, Live, 4), row(4, Live, 0)], 3_000);
        assert_eq!(changes.went_back, [(row(1, Live, 4), 6)]);
        assert_eq!((changes.joined, changes.over), (Vec::new(), Vec::new()));
    }
}
