//! When those that are paged out have something to do by themselves: an open transaction that
//! nobody decides has its deadline, a decided one is to be shown to people when it has waited for so
//! long, and a Confirm that is put off has its time. The journal is asked for those whose time has come, a few at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_wire::{Gid, Mono, Now};

use crate::engine::Engine;
use crate::engine::output::Output;
use crate::transaction::{Wake, WakesTo};

/// The journal is asked for so many at a time. What clients have it asked is not among them: however
/// much that is, it must not hold up a deadline.
const AT_A_TIME: usize = 256;

/// After so long the journal is asked again for one that it could not read.
const AGAIN: Duration = Duration::from_secs(1);

/// Their timers. There is one of each that has something to do, so there are as many as may be
/// paged out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Wakes {
    of_each: BTreeMap<Gid, Timer>,
    due: BTreeSet<(Mono, Gid)>,
    /// How many of them are of those that wait for nothing else.
    asleep: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Timer {
    /// What it has to do, and when.
    wake: Wake,
    /// When the journal is asked for it; later than that, where it could not be read.
    ask: Mono,
}

impl Wakes {
    /// One leaves memory.
    pub(super) fn remember(&mut self, gid: &Gid, wake: Option<Wake>) {
        self.take(gid);
        if let Some(wake) = wake {
            self.of_each.insert(gid.clone(), Timer { wake, ask: wake.at });
            self.due.insert((wake.at, gid.clone()));
            self.asleep += usize::from(wake.to == WakesTo::ConfirmAlone);
        }
    }

    /// One is back, or is nowhere: what it had to do.
    pub(super) fn take(&mut self, gid: &Gid) -> Option<Wake> {
        let Timer { wake, ask } = self.of_each.remove(gid)?;
        self.due.remove(&(ask, gid.clone()));
        self.asleep -= usize::from(wake.to == WakesTo::ConfirmAlone);
        Some(wake)
    }

    /// Whether the time of one has come, whoever the journal was asked for.
    pub(super) fn is_due(&self, gid: &Gid, now: Mono) -> bool {
        self.of_each.get(gid).is_some_and(|timer| timer.wake.at <= now)
    }

    /// Whether one has something to do.
    pub(super) fn has(&self, gid: &Gid) -> bool {
        self.of_each.contains_key(gid)
    }

    /// Whether one waits for nothing but its time.
    pub(super) fn is_asleep(&self, gid: &Gid) -> bool {
        self.of_each.get(gid).is_some_and(|timer| timer.wake.to == WakesTo::ConfirmAlone)
    }

    /// How many do.
    pub(super) fn asleep(&self) -> usize {
        self.asleep
    }

    /// When the journal is to be asked for the first.
    pub(super) fn next(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The first that is due. Until it is back it is due again after a while.
    fn take_due(&mut self, now: Mono) -> Option<Gid> {
        let (ask, gid) = self.due.first().filter(|(ask, _)| *ask <= now)?.clone();
        self.due.remove(&(ask, gid.clone()));
        let again = now.after(AGAIN);
        if let Some(timer) = self.of_each.get_mut(&gid) {
            timer.ask = again;
            self.due.insert((again, gid.clone()));
        }
        Some(gid)
    }

    /// Whether each stands where it says.
    pub(super) fn agree(&self) -> bool {
        let asleep = self.of_each.keys().filter(|gid| self.is_asleep(gid)).count();
        let stands = |(gid, timer): (&Gid, &Timer)| self.due.contains(&(timer.ask, gid.clone()));
        self.of_each.len() == self.due.len()
            && self.asleep == asleep
            && self.of_each.iter().all(stands)
    }
}

impl Engine {
    /// When the first of those that are paged out has something to do; later, while the journal
    /// is asked for as many as it is at a time.
    pub(in crate::engine) fn next_wake(&self) -> Option<Mono> {
        self.paging.wakes.next().filter(|_| self.loading.unasked() < AT_A_TIME)
    }

    /// Asks the journal for those that have something to do.
    pub(super) fn wake_what_is_due(&mut self, now: Now, output: &mut Output) {
        while self.loading.unasked() < AT_A_TIME {
            let Some(gid) = self.paging.wakes.take_due(now.mono) else { return };
            // Where another was begun under its gid that will turn out to be taken, it comes later.
            if !self.live.contains(&gid) && !self.loading.contains(&gid) {
                self.load_of_its_own(gid, output);
            }
        }
    }
}
