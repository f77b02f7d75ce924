//! Destinations that have room again, until that is told. What nobody has fetched yet is kept
//! once per destination, so that it is bounded by their number.

use std::collections::BTreeMap;

use super::destination::{CapacityFreed, Destination};
use super::destination_queue::Capacity;

/// Destinations that have room and are still to be told of.
#[derive(Debug, Clone, Default)]
pub struct FreedCapacities {
    untold: BTreeMap<Destination, Capacity>,
}

impl FreedCapacities {
    /// What is newer counts; that a destination has recovered does not get lost.
    pub fn add(&mut self, freed: CapacityFreed) {
        let CapacityFreed { destination, places, healed } = freed;
        let capacity = Capacity { places, healed };
        let untold = self.untold.entry(destination).or_insert(capacity);
        *untold = Capacity { places, healed: untold.healed || healed };
    }

    /// One of them, if there is any.
    pub fn pop(&mut self) -> Option<CapacityFreed> {
        let (destination, Capacity { places, healed }) = self.untold.pop_first()?;
        Some(CapacityFreed { destination, places, healed })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.untold.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.untold.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_destination_is_told_once_with_the_latest_of_its_room() {
        let destination = |url: &str| Destination::of(&url.parse().expect("a URL"), 1);
        let (a, b) = (destination("http://h/a"), destination("http://h/b"));
        let mut freed = FreedCapacities::default();
        for (destination, places, healed) in [(&b, 9, true), (&a, 1, false), (&b, 2, false)] {
            freed.add(CapacityFreed { destination: destination.clone(), places, healed });
        }
        let told = [freed.pop(), freed.pop(), freed.pop()];
        let expected = [
            Some(CapacityFreed { destination: a, places: 1, healed: false }),
            Some(CapacityFreed { destination: b, places: 2, healed: true }),
            None,
        ];
        assert_eq!(told, expected);
    }
}
