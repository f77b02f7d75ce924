//! Who waits for room at which destination. The dispatcher's queues are bounded; what they
//! do not take is an entry here, and is called when the destination says that it has room:
//! nobody asks again and again.

use std::collections::{BTreeMap, BTreeSet};

use tercet_wire::{Gid, Mono, Now};

use crate::dispatch::{CapacityFreed, Destination};
use crate::engine::Engine;
use crate::engine::live_transaction::LiveTransaction;
use crate::engine::output::Output;

/// Calls made in one step for one destination, and transactions woken in one. Thousands may have
/// waited for it, and others get their turn between its steps.
const AT_ONCE: usize = 64;

/// Who waits, or pauses, at which destination; those that do so longest first.
pub(super) type Rooms = BTreeMap<Destination, BTreeSet<(Mono, Gid)>>;

impl Engine {
    /// A destination has room: those that have waited longest are called.
    pub(super) fn capacity_freed(&mut self, freed: &CapacityFreed, now: Now, output: &mut Output) {
        let CapacityFreed { destination, places, healed: _ } = freed;
        let most = (*places).min(AT_ONCE);
        let mut made = 0;
        while made < most {
            let Some(waiting) = self.waiting.get(destination) else { return };
            let Some((_, gid)) = waiting.first().cloned() else { return };
            let others = output.effects.len();
            self.run(&gid, now, output, |transaction, step| {
                transaction.capacity_freed(destination, step);
            });
            // One transaction may have several calls for it. One that makes none, since it has
            // just given up, still counts as a step.
            let effects = output.effects.iter().skip(others);
            made += effects.filter(|held| held.is_call()).count().max(1);
        }
        if self.waiting.contains_key(destination) {
            output.notify_when_free.push(destination.clone());
        }
    }

    /// A destination answers again.
    pub(super) fn heals(&mut self, freed: &CapacityFreed, now: Now) {
        if freed.healed {
            self.healed.insert(freed.destination.clone(), now.mono);
            self.call_back(&freed.destination);
        }
    }

    /// A participant that was away is back: whoever failed to reach it before need not sleep
    /// on. So many in one step; the others in the next.
    pub(super) fn wake_those_that_pause(&mut self, now: Now, output: &mut Output) {
        let path_segments = self.settings.destination_path_segments;
        for _ in 0..AT_ONCE {
            let Some((destination, healed_at)) = self.healed.first_key_value() else { return };
            let (destination, healed_at) = (destination.clone(), *healed_at);
            let longest = self.pausing.get(&destination).and_then(BTreeSet::first);
            // Who has failed since then pauses like anybody else.
            let Some((_, gid)) = longest.filter(|(since, _)| *since <= healed_at).cloned() else {
                self.healed.remove(&destination);
                continue;
            };
            self.run(&gid, now, output, |transaction, step| {
                transaction.destination_healed(&destination, path_segments, step);
            });
        }
    }

    /// Brings a transaction's entries up to date.
    pub(super) fn index_rooms(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        let Some(live_transaction) = self.live.get_mut(gid) else { return };
        let (waits, pauses) = match live_transaction.quarantined {
            None => {
                let path_segments = self.settings.destination_path_segments;
                (
                    live_transaction.transaction.waits_at(),
                    live_transaction.transaction.pauses_at(path_segments),
                )
            }
            Some(_) => (Vec::new(), Vec::new()),
        };
        if waits != live_transaction.waits_at {
            for (destination, _) in &waits {
                if !self.waiting.contains_key(destination) {
                    output.notify_when_free.push(destination.clone());
                }
            }
            move_entries(&mut self.waiting, gid, &mut live_transaction.waits_at, waits);
        }
        if !(pauses.is_empty() && live_transaction.pauses_at.is_empty()) {
            let since = |at: &Destination| {
                let before = live_transaction.pauses_at.iter().find(|(before, _)| before == at);
                before.map_or(now.mono, |(_, since)| *since)
            };
            let pauses = pauses.into_iter().map(|at| (at.clone(), since(&at))).collect();
            move_entries(&mut self.pausing, gid, &mut live_transaction.pauses_at, pauses);
        }
    }

    /// A transaction is no longer here.
    pub(super) fn leave_rooms(&mut self, gid: &Gid, live_transaction: &mut LiveTransaction) {
        move_entries(&mut self.waiting, gid, &mut live_transaction.waits_at, Vec::new());
        move_entries(&mut self.pausing, gid, &mut live_transaction.pauses_at, Vec::new());
    }
}

fn move_entries(
    rooms: &mut Rooms,
    gid: &Gid,
    entries: &mut Vec<(Destination, Mono)>,
    now_at: Vec<(Destination, Mono)>,
) {
    for (destination, since) in std::mem::replace(entries, now_at) {
        if let Some(room) = rooms.get_mut(&destination) {
            room.remove(&(since, gid.clone()));
            if room.is_empty() {
                rooms.remove(&destination);
            }
        }
    }
    for (destination, since) in entries {
        rooms.entry(destination.clone()).or_default().insert((*since, gid.clone()));
    }
}
