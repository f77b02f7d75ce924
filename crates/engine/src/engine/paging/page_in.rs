//! What rests and waits for a destination that answers again. It may be a few transactions among
//! a million that wait for another, so all pages are read through without a pause, and only those
//! few come back of them.

use tercet_wire::{BranchId, Gid, Now};
use url::Url;

use crate::dispatch::Destination;
use crate::engine::Engine;
use crate::engine::output::Output;
use crate::record::Decision;
use crate::stored::StoredTransaction;
use crate::transaction::Pause;

impl Engine {
    /// Whether a destination answers again and nobody here waits for room at it, so that what
    /// rests and waits for it alone is looked for among all others, however many they are.
    pub(in crate::engine) fn is_called_back(&self) -> bool {
        self.resting.healed.keys().any(|healed| !self.waiting.contains_key(healed))
    }

    /// A destination answers again.
    pub(in crate::engine) fn call_back(&mut self, healed: &Destination) {
        if self.resting.sweeping {
            // Those before the present place have their turn in the next round.
            let ends = if self.resting.reached.is_some() { 2 } else { 1 };
            self.resting.healed.insert(healed.clone(), ends);
        }
    }

    /// Whether what was read of a page is left where it is: it does not wait for what the page
    /// was read for.
    pub(in crate::engine) fn is_passed_over(&self, stored: &StoredTransaction) -> bool {
        if !self.resting.in_passing {
            return false;
        }
        let path_segments = self.settings.destination_path_segments;
        let Some(op) = stored.decision().map(Decision::op) else { return false };
        let acknowledged = |id: &BranchId| {
            let row = stored.branch_records.iter().find(|row| row.branch == *id);
            row.is_some_and(|row| row.acknowledged_at.is_some())
        };
        let open = stored.branches.iter().filter(|branch| !acknowledged(&branch.id));
        let mut urls = open.filter_map(|branch| branch.url(op));
        let of_healed =
            |url: &Url| self.resting.healed.keys().any(|healed| healed.is_of(url, path_segments));
        !urls.any(|url| of_healed(url))
    }

    /// One of those that rested is back: it does not pause for a destination that answers again.
    pub(in crate::engine) fn wake_if_called_back(
        &mut self,
        gid: &Gid,
        now: Now,
        output: &mut Output,
    ) {
        let path_segments = self.settings.destination_path_segments;
        let healed: Vec<Destination> = self.resting.healed.keys().cloned().collect();
        for destination in healed {
            self.run(gid, now, output, |transaction, step| {
                transaction.destination_healed(&destination, path_segments, step);
            });
        }
    }

    /// The pauses that one that rested goes on with.
    pub(in crate::engine) fn pauses_of(&mut self, gid: &Gid) -> Vec<Pause> {
        self.resting.pauses.take(gid)
    }
}
