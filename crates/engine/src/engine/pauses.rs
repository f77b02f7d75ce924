//! Participants are paused and resumed while transactions wait for them.

use std::collections::BTreeSet;

use tercet_wire::{Gid, Now};

use crate::engine::Engine;
use crate::engine::output::Output;

impl Engine {
    /// From now on these participants, by `host:port`, are not called, and no others.
    pub(super) fn paused(&mut self, participants: BTreeSet<String>, now: Now, output: &mut Output) {
        let rules = &mut self.settings.rules;
        let (resumed, paused) = rules.paused.change(participants, now.mono, rules.park_after);
        let changed: BTreeSet<String> = resumed.union(&paused).cloned().collect();
        if changed.is_empty() {
            return;
        }
        let concerned = |gid: &Gid| {
            self.live.get(gid).is_some_and(|live| live.transaction().needs_any_of(&changed))
        };
        let gids: Vec<Gid> = self.live.iter().map(|(gid, _)| gid.clone()).collect();
        let gids: Vec<Gid> = gids.into_iter().filter(concerned).collect();
        for gid in gids {
            self.run(&gid, now, output, |transaction, step| {
                transaction.was_resumed(&resumed, step);
            });
        }
        // Of those that are paged out somebody may wait for nothing else.
        resumed.iter().for_each(|participant| self.paging.resumes(participant));
        // Who waited there before the pause was not told of room meanwhile.
        for destination in self.capacity.awaited_of(&resumed) {
            if !output.notify_when_free.contains(&destination) {
                output.notify_when_free.push(destination);
            }
        }
    }
}
