//! When each live transaction has something to do by itself.

use std::collections::BTreeSet;

use tercet_wire::{Gid, Mono};

use crate::invariants::Broken;

/// The timers of all live transactions, the earliest first; one each at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Timers {
    due: BTreeSet<(Mono, Gid)>,
}

/// The timer of one transaction. The transaction carries it, and only `Timers` changes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Timer(Option<Mono>);

impl Timers {
    /// Sets a transaction's timer anew; none: it has nothing to do by itself.
    pub(super) fn set(&mut self, gid: &Gid, timer: &mut Timer, due: Option<Mono>) {
        if due == timer.0 {
            return;
        }
        if let Some(at) = timer.0 {
            self.due.remove(&(at, gid.clone()));
        }
        if let Some(at) = due {
            self.due.insert((at, gid.clone()));
        }
        timer.0 = due;
    }

    /// When the first of them is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The transaction whose timer has been due longest, if one is.
    pub(super) fn first_due(&self, now: Mono) -> Option<Gid> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, gid)| gid.clone())
    }

    /// How many are set.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether the timer of one transaction stands where it says, and at the right moment.
    pub(super) fn agrees(&self, gid: &Gid, timer: &Timer, due: Option<Mono>) -> Result<(), Broken> {
        if timer.0 != due {
            let why = format!("{gid} is due at {due:?}, its timer says {:?}", timer.0);
            return Err(Broken::IndexDisagrees { part: "timers", why });
        }
        match timer.0 {
            Some(at) if !self.due.contains(&(at, gid.clone())) => {
                let why = format!("{gid} is due at {at:?} and has no timer");
                Err(Broken::IndexDisagrees { part: "timers", why })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether there are no others than the timers of these transactions.
    pub(super) fn check<'a>(&self, timers: impl Iterator<Item = &'a Timer>) -> Result<(), Broken> {
        let (set, found) = (timers.filter(|timer| timer.0.is_some()).count(), self.due.len());
        if set == found {
            return Ok(());
        }
        let why = format!("{set} live transactions have a timer, {found} timers are set");
        Err(Broken::IndexDisagrees { part: "timers", why })
    }
}
