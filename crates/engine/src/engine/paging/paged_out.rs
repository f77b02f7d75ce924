//! What is paged out, as far as memory knows.

use std::collections::BTreeMap;

use tercet_wire::{Status, Wall};

use crate::transaction::Waiting;

/// The numbers of those that are paged out. They decide nothing but whether more is taken, since
/// some cannot be counted: rows that could not be read do not say what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct PagedOut {
    /// How many by status, and when the oldest of them was begun.
    by_status: BTreeMap<Status, (usize, Wall)>,
    decided: Shares,
    /// Of initiators that are asked and shown to people.
    undecided: Shares,
}

/// What they have of what is waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Shares {
    parked_branches: usize,
    /// How many branches wait for each participant, and are shown to people.
    by_participant: BTreeMap<String, (usize, usize)>,
}

impl PagedOut {
    pub(super) fn count(&self) -> usize {
        self.by_status.values().map(|(count, _)| count).sum()
    }

    /// Those that are decided.
    pub(super) fn decided(&self) -> usize {
        let decided = self.by_status.iter().filter(|(status, _)| status.is_decided());
        decided.map(|(_, (count, _))| count).sum()
    }

    pub(super) fn by_status(&self) -> impl Iterator<Item = (Status, usize, Wall)> {
        self.by_status.iter().map(|(status, (count, oldest))| (*status, *count, *oldest))
    }

    pub(super) fn parked_branches(&self) -> usize {
        self.decided.parked_branches + self.undecided.parked_branches
    }

    pub(super) fn waiting_for(&self, participant: &str) -> (usize, usize) {
        let of = |shares: &Shares| shares.by_participant.get(participant).copied();
        let (decided, undecided) = (of(&self.decided), of(&self.undecided));
        let (waiting, shown) = decided.unwrap_or_default();
        let (asked, shown_too) = undecided.unwrap_or_default();
        (waiting + asked, shown + shown_too)
    }

    fn shares(&mut self, status: Status) -> &mut Shares {
        match status.is_decided() {
            true => &mut self.decided,
            false => &mut self.undecided,
        }
    }

    pub(super) fn add(&mut self, status: Status, what: &Waiting) {
        let Waiting { created_at, parked_branches, participants } = what;
        let (count, oldest) = self.by_status.entry(status).or_insert((0, *created_at));
        *count += 1;
        *oldest = (*oldest).min(*created_at);
        let shares = self.shares(status);
        shares.parked_branches += parked_branches;
        for (participant, parked) in participants {
            let (waiting, shown) = shares.by_participant.entry(participant.clone()).or_default();
            *waiting += 1;
            *shown += usize::from(*parked);
        }
    }

    pub(super) fn remove(&mut self, status: Status, what: &Waiting) {
        if let Some((count, _)) = self.by_status.get_mut(&status) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_status.remove(&status);
            }
        }
        let shares = self.shares(status);
        shares.parked_branches = shares.parked_branches.saturating_sub(what.parked_branches);
        for (participant, parked) in &what.participants {
            let of = shares.by_participant.get_mut(participant);
            let Some((waiting, shown)) = of else { continue };
            *waiting = waiting.saturating_sub(1);
            *shown = shown.saturating_sub(usize::from(*parked));
            if *waiting == 0 {
                shares.by_participant.remove(participant);
            }
        }
    }

    /// Of those that are decided none is anywhere.
    pub(super) fn forget_decided(&mut self) {
        self.by_status.retain(|status, _| !status.is_decided());
        self.decided = Shares::default();
    }
}
