//! An index of transactions by destination.

use std::collections::{BTreeMap, BTreeSet};

use tercet_wire::{Gid, Mono};

use crate::dispatch::Destination;

/// Who is at which destination, and since when; those that have been there longest first.
/// A destination where nobody is has no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct ByDestination(BTreeMap<Destination, BTreeSet<(Mono, Gid)>>);

impl ByDestination {
    /// Where anybody is.
    pub(super) fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.0.keys()
    }

    /// Moves a transaction from where it was, as it carries it, to where it is now.
    pub(super) fn replace(
        &mut self,
        gid: &Gid,
        at: &mut Vec<(Destination, Mono)>,
        now_at: Vec<(Destination, Mono)>,
    ) {
        for (destination, since) in std::mem::replace(at, now_at) {
            if let Some(there) = self.0.get_mut(&destination) {
                there.remove(&(since, gid.clone()));
                if there.is_empty() {
                    self.0.remove(&destination);
                }
            }
        }
        for (destination, since) in at {
            self.0.entry(destination.clone()).or_default().insert((*since, gid.clone()));
        }
    }

    /// Whether anybody is there.
    pub(super) fn contains(&self, destination: &Destination) -> bool {
        self.0.contains_key(destination)
    }

    /// Who has been there longest, and since when.
    pub(super) fn longest(&self, destination: &Destination) -> Option<&(Mono, Gid)> {
        self.0.get(destination)?.first()
    }

    /// Whether a transaction is everywhere it says.
    pub(super) fn has(&self, gid: &Gid, at: &[(Destination, Mono)]) -> bool {
        at.iter().all(|(destination, since)| {
            self.0.get(destination).is_some_and(|there| there.contains(&(*since, gid.clone())))
        })
    }

    /// How many entries there are, at all destinations together.
    pub(super) fn entries(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}
