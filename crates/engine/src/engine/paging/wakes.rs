//! When those that are paged out have something to do by themselves: an open transaction that
//! nobody decides has its deadline, and a decided one is to be shown to people when it has waited
//! for so long. The journal is asked for those whose time has come, a few at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_wire::{Gid, Mono, Now};

use crate::engine::Engine;
use crate::engine::output::Output;
use crate::transaction::Wakeup;

/// The journal is asked for so many at a time. What clients have it asked is not among them: however
/// much that is, it must not hold up a deadline.
const AT_A_TIME: usize = 256;

/// After so long the journal is asked again for one that it could not read.
const AGAIN: Duration = Duration::from_secs(1);

/// Their timers. There is one of each that has something to do, so there are as many as may be
/// paged out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Wakes {
    of_each: BTreeMap<Gid, Wake>,
    due: BTreeSet<(Mono, Gid)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Wake {
    /// When it has something to do, and what.
    what: Wakeup,
    /// When the journal is asked for it; later than that, where it could not be read.
    ask: Mono,
}

impl Wakes {
    /// One leaves memory.
    pub(super) fn remember(&mut self, gid: &Gid, what: Option<Wakeup>) {
        self.take(gid);
        if let Some(what) = what {
            self.of_each.insert(gid.clone(), Wake { what, ask: what.at });
            self.due.insert((what.at, gid.clone()));
        }
    }

    /// One is back, or is nowhere: when it had something to do.
    pub(super) fn take(&mut self, gid: &Gid) -> Option<Wakeup> {
        let wake = self.of_each.remove(gid)?;
        self.due.remove(&(wake.ask, gid.clone()));
        Some(wake.what)
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
        if let Some(wake) = self.of_each.get_mut(&gid) {
            wake.ask = again;
            self.due.insert((again, gid.clone()));
        }
        Some(gid)
    }

    /// Whether each stands where it says.
    pub(super) fn agree(&self) -> bool {
        self.of_each.len() == self.due.len()
            && self.of_each.iter().all(|(gid, wake)| self.due.contains(&(wake.ask, gid.clone())))
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
