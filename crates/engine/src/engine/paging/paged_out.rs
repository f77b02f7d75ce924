//! What is paged out, as far as memory knows.

use std::collections::BTreeMap;

use tercet_wire::{Status, Wall};

/// The numbers of those that are paged out. They decide nothing but whether more is taken, since
/// some cannot be counted: rows that could not be read do not say what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct PagedOut {
    /// How many by status, and when the oldest of them was begun.
    by_status: BTreeMap<Status, (usize, Wall)>,
    parked_branches: usize,
}

impl PagedOut {
    pub(super) fn count(&self) -> usize {
        self.by_status.values().map(|(count, _)| count).sum()
    }

    pub(super) fn by_status(&self) -> impl Iterator<Item = (Status, usize, Wall)> {
        self.by_status.iter().map(|(status, (count, oldest))| (*status, *count, *oldest))
    }

    pub(super) fn parked_branches(&self) -> usize {
        self.parked_branches
    }

    pub(super) fn add(&mut self, status: Status, created_at: Wall, parked_branches: usize) {
        let (count, oldest) = self.by_status.entry(status).or_insert((0, created_at));
        *count += 1;
        *oldest = (*oldest).min(created_at);
        self.parked_branches += parked_branches;
    }

    pub(super) fn remove(&mut self, status: Status, parked_branches: usize) {
        if let Some((count, _)) = self.by_status.get_mut(&status) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_status.remove(&status);
            }
        }
        self.parked_branches = self.parked_branches.saturating_sub(parked_branches);
    }
}
