//! Dead lives whose row stays although a take-over found nothing of theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_wire::{Incarnation, Mono};

use super::taking_over::{Ending, TakenOver};

/// From one such take-over to the next.
const REST: Duration = Duration::from_secs(30);

/// A row stays for ever while a damaged one points to it, which nobody can take over: to look again
/// with every heartbeat would cost the database more than all that is left of the dead.
#[derive(Debug, Default)]
pub(super) struct Rests {
    until: BTreeMap<Incarnation, Mono>,
}

impl Rests {
    /// Whether it is to be left alone for now.
    pub(super) fn holds(&self, dead: Incarnation, now: Mono) -> bool {
        self.until.get(&dead).is_some_and(|until| now < *until)
    }

    /// Notes how a take-over ended. Only one that went through and moved nothing gives reason to rest.
    pub(super) fn ended(&mut self, came: &TakenOver, now: Mono) {
        let dead = came.suspect.incarnation;
        // Others are over, whose rows may be gone by now.
        self.until.retain(|_, until| now < *until);
        if came.ending == Ending::Done && came.transactions == 0 && !came.removed {
            self.until.insert(dead, now.after(REST));
        } else {
            self.until.remove(&dead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::orphans::suspect;

    #[test]
    fn only_whoever_has_a_row_and_nothing_that_can_be_taken_is_left_alone() {
        let dead = Incarnation(7);
        let came = |ending, transactions, removed| TakenOver {
            suspect: suspect(dead),
            ending,
            marked: false,
            transactions,
            removed,
        };
        let table = [
            (came(Ending::Done, 0, false), true),
            (came(Ending::Done, 0, true), false),
            (came(Ending::Done, 1, false), false),
            (came(Ending::Failed, 0, false), false),
            (came(Ending::MarkedNothing, 0, false), false),
        ];
        for (came, rests) in table {
            let mut noted = Rests::default();
            noted.ended(&came, Mono(0));
            assert_eq!(noted.holds(dead, Mono(0)), rests, "{came:?}");
            assert!(!noted.holds(Incarnation(8), Mono(0)));
            assert!(!noted.holds(dead, Mono(0).after(REST)), "{came:?}");
        }
    }
}
