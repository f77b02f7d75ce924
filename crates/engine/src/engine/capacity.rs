//! Who waits for capacity at which destination. The dispatcher's queues are bounded; what they
//! do not take is an entry here, and is called when the destination says that it has capacity:
//! nobody asks again and again.

use std::collections::{BTreeMap, BTreeSet};

use tercet_wire::{Gid, Mono, Now};

use crate::dispatch::{CapacityFreed, Destination};
use crate::engine::Engine;
use crate::engine::by_destination::ByDestination;
use crate::engine::output::Output;
use crate::invariants::Broken;

/// Calls made in one step for one destination, and transactions woken in one. Thousands may have
/// waited for it, and others get their turn between its steps.
const AT_ONCE: usize = 64;

/// The live transactions that wait for a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct CapacityWaits {
    /// Those that wait for capacity.
    waiting: ByDestination,
    /// Those that back off after a call failed.
    backing_off: ByDestination,
    /// Destinations that answer again, and since when: who has backed off since before is woken.
    healed: BTreeMap<Destination, Mono>,
}

/// Where one transaction waits. The transaction carries it, and only `CapacityWaits` changes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct WaitsAt {
    capacity: Vec<(Destination, Mono)>,
    backoff: Vec<(Destination, Mono)>,
}

impl CapacityWaits {
    /// Brings the entries of a transaction up to date: where it waits and since when, and where
    /// it backs off. Destinations that nobody has waited for so far are to tell when they have
    /// capacity.
    pub(super) fn set(
        &mut self,
        gid: &Gid,
        at: &mut WaitsAt,
        waits: Vec<(Destination, Mono)>,
        backs_off: Vec<Destination>,
        now: Now,
        notify_when_free: &mut Vec<Destination>,
    ) {
        if waits != at.capacity {
            let unheard = waits.iter().map(|(destination, _)| destination);
            notify_when_free
                .extend(unheard.filter(|destination| !self.waiting.contains(destination)).cloned());
            self.waiting.replace(gid, &mut at.capacity, waits);
        }
        if !(backs_off.is_empty() && at.backoff.is_empty()) {
            let since = |destination: &Destination| {
                let before = at.backoff.iter().find(|(before, _)| before == destination);
                before.map_or(now.mono, |(_, since)| *since)
            };
            let backs_off = backs_off.into_iter().map(|at| (at.clone(), since(&at))).collect();
            self.backing_off.replace(gid, &mut at.backoff, backs_off);
        }
    }

    /// A transaction leaves.
    pub(super) fn remove(&mut self, gid: &Gid, at: &mut WaitsAt) {
        self.waiting.replace(gid, &mut at.capacity, Vec::new());
        self.backing_off.replace(gid, &mut at.backoff, Vec::new());
    }

    /// Whether anybody waits for capacity there.
    pub(super) fn is_awaited(&self, destination: &Destination) -> bool {
        self.waiting.contains(destination)
    }

    /// Whether anybody waits for capacity at a destination of this participant.
    pub(super) fn is_awaited_of(&self, participant: &str) -> bool {
        self.waiting.destinations().any(|at| at.participant() == participant)
    }

    /// Where somebody waits for capacity, of the destinations of these participants.
    pub(super) fn awaited_of(&self, participants: &BTreeSet<String>) -> Vec<Destination> {
        let all = self.waiting.destinations();
        all.filter(|at| participants.contains(&at.participant())).cloned().collect()
    }

    /// When somebody is to be woken: these were due when their destination answered.
    pub(super) fn next(&self) -> Option<Mono> {
        self.healed.values().copied().min()
    }

    fn heals(&mut self, destination: &Destination, now: Now) {
        self.healed.insert(destination.clone(), now.mono);
    }

    /// Who has waited longest for capacity there.
    fn longest_waiting(&self, destination: &Destination) -> Option<Gid> {
        self.waiting.longest(destination).map(|(_, gid)| gid.clone())
    }

    /// Who is woken next, and for which destination: whoever has backed off there since before
    /// it healed. Who has failed since then backs off like anybody else.
    fn next_to_wake(&mut self) -> Option<(Destination, Gid)> {
        while let Some(healed) = self.healed.first_entry() {
            let longest = self.backing_off.longest(healed.key());
            if let Some((_, gid)) = longest.filter(|(since, _)| since <= healed.get()) {
                return Some((healed.key().clone(), gid.clone()));
            }
            healed.remove();
        }
        None
    }

    /// Whether the entries of one transaction stand where they say, and say what it says.
    pub(super) fn agrees(
        &self,
        gid: &Gid,
        at: &WaitsAt,
        waits: &[(Destination, Mono)],
        backs_off: &[Destination],
    ) -> Result<(), Broken> {
        let told = at.backoff.iter().map(|(destination, _)| destination);
        let why = if at.capacity != waits || !told.eq(backs_off) {
            format!("{gid} waits elsewhere than is known")
        } else if !self.waiting.has(gid, &at.capacity) || !self.backing_off.has(gid, &at.backoff) {
            format!("{gid} waits and would not be called")
        } else {
            return Ok(());
        };
        Err(Broken::IndexDisagrees { part: "capacity", why })
    }

    /// Whether there are no others than the entries of these transactions.
    pub(super) fn check<'a>(&self, all: impl Iterator<Item = &'a WaitsAt>) -> Result<(), Broken> {
        let (mut capacity, mut backoff) = (0, 0);
        for at in all {
            capacity += at.capacity.len();
            backoff += at.backoff.len();
        }
        let found = (self.waiting.entries(), self.backing_off.entries());
        if found == (capacity, backoff) {
            return Ok(());
        }
        let why = format!("{capacity} wait and {backoff} back off, {found:?} are known");
        Err(Broken::IndexDisagrees { part: "capacity", why })
    }
}

impl Engine {
    /// A destination has capacity: those that have waited longest are called.
    pub(super) fn capacity_freed(&mut self, freed: &CapacityFreed, now: Now, output: &mut Output) {
        let CapacityFreed { destination, places, healed: _ } = freed;
        let most = (*places).min(AT_ONCE);
        let mut made = 0;
        while made < most {
            let Some(gid) = self.capacity.longest_waiting(destination) else { return };
            let others = output.effects.len();
            self.run(&gid, now, output, |transaction, step| {
                transaction.capacity_freed(destination, step);
            });
            // One transaction may have several calls for it. One that makes none, since it has
            // just given up, still counts as a step.
            let effects = output.effects.iter().skip(others);
            made += effects.filter(|held| held.is_call()).count().max(1);
        }
        if self.capacity.is_awaited(destination) {
            output.notify_when_free.push(destination.clone());
        }
    }

    /// A destination answers again.
    pub(super) fn heals(&mut self, freed: &CapacityFreed, now: Now) {
        if freed.healed {
            self.capacity.heals(&freed.destination, now);
            self.paging.heals(&freed.destination);
        }
    }

    /// A participant that was away is back: whoever failed to reach it before need not sleep
    /// on. So many in one step; the others in the next.
    pub(super) fn wake_who_backs_off(&mut self, now: Now, output: &mut Output) {
        let path_segments = self.settings.destination_path_segments;
        for _ in 0..AT_ONCE {
            let Some((destination, gid)) = self.capacity.next_to_wake() else { return };
            self.run(&gid, now, output, |transaction, step| {
                transaction.destination_healed(&destination, path_segments, step);
            });
        }
    }
}
