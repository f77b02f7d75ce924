//! Who waits for room at which destination. The dispatcher's queues are bounded; what they
//! do not take is an entry here, and is called when the destination says that it has room:
//! nobody asks again and again.

use crate::dispatch::{Destination, Vacancy};
use crate::engine::Engine;
use crate::engine::output::Output;
use crate::ids::Gid;
use crate::time::Now;

/// Calls made in one step for one destination. Thousands may have waited for it, and others
/// get their turn between its steps.
const AT_ONCE: usize = 64;

impl Engine {
    /// A destination has room: those that have waited longest are called.
    pub(super) fn vacant(&mut self, vacancy: &Vacancy, now: Now, output: &mut Output) {
        let Vacancy { destination, places, healed } = vacancy;
        if *healed {
            self.wake_those_that_pause(destination, now, output);
        }
        for _ in 0..(*places).min(AT_ONCE) {
            let Some(waiting) = self.waiting.get(destination) else { return };
            let Some((_, gid)) = waiting.first().cloned() else { return };
            self.run(&gid, now, output, |transaction, step| {
                transaction.there_is_room(destination, step);
            });
        }
        if self.waiting.contains_key(destination) {
            output.await_room.push(destination.clone());
        }
    }

    /// A participant that was away is back: whoever failed to reach it need not sleep on.
    fn wake_those_that_pause(&mut self, destination: &Destination, now: Now, output: &mut Output) {
        let path_segments = self.settings.destination_path_segments;
        let pausing = self.live.iter().filter(|(_, slot)| {
            slot.set_aside.is_none() && slot.transaction.pauses_at(destination, path_segments, now)
        });
        let pausing: Vec<Gid> = pausing.map(|(gid, _)| gid.clone()).collect();
        for gid in pausing {
            self.run(&gid, now, output, |transaction, step| {
                transaction.destination_healed(destination, path_segments, step);
            });
        }
    }

    /// Brings a transaction's entries up to date.
    pub(super) fn index_rooms(&mut self, gid: &Gid, output: &mut Output) {
        let Some(slot) = self.live.get_mut(gid) else { return };
        let now_at = match slot.set_aside {
            None => slot.transaction.waits_at(),
            Some(_) => Vec::new(),
        };
        if now_at == slot.waits_at {
            return;
        }
        let before = std::mem::replace(&mut slot.waits_at, now_at.clone());
        self.leave_rooms(gid, before);
        for (destination, since) in now_at {
            let waiting = self.waiting.entry(destination.clone()).or_default();
            if waiting.is_empty() {
                output.await_room.push(destination);
            }
            waiting.insert((since, gid.clone()));
        }
    }

    pub(super) fn leave_rooms(
        &mut self,
        gid: &Gid,
        entries: Vec<(Destination, crate::time::Mono)>,
    ) {
        for (destination, since) in entries {
            if let Some(waiting) = self.waiting.get_mut(&destination) {
                waiting.remove(&(since, gid.clone()));
                if waiting.is_empty() {
                    self.waiting.remove(&destination);
                }
            }
        }
    }
}
