//! What no live node drives, searched for now and then: a row of a life may have been deleted by
//! hand, and nobody who looks at the rows would find what it drove.

use std::collections::BTreeSet;
use std::time::Duration;

use tercet_engine::{Suspect, SuspectedFor};
use tercet_wire::{Incarnation, Mono};

use super::taking_over::{Means, PAGE};

/// From one search to the next.
const EVERY: Duration = Duration::from_secs(60);

/// Owners looked at in one search; the next finds more.
const MOST_OWNERS: usize = 1_000;

/// As many transactions of one owner are counted.
const MOST_COUNTED: usize = 100_000;

/// What people see in place of the name of a life without a row.
const NO_ROW: &str = "unknown";

/// What a search has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Owners that have no row.
    pub(super) owners: Vec<Incarnation>,
    /// Transactions that no live life drives.
    pub(super) transactions: usize,
}

/// When to search, and what was found before.
#[derive(Debug)]
pub(super) struct Orphans {
    due: Mono,
    before: BTreeSet<Incarnation>,
}

impl Orphans {
    /// The first search is at once.
    pub(super) fn new(now: Mono) -> Self {
        Self { due: now, before: BTreeSet::new() }
    }

    /// Whether it is time to search; then the next time is later.
    pub(super) fn are_due(&mut self, now: Mono) -> bool {
        let are_due = now >= self.due;
        if are_due {
            self.due = now.after(EVERY);
        }
        are_due
    }

    /// Those that the search before had found, too: they should have been taken over long ago.
    pub(super) fn remain(&mut self, found: &Found) -> usize {
        let now: BTreeSet<Incarnation> = found.owners.iter().copied().collect();
        let remain = now.intersection(&self.before).count();
        self.before = now;
        remain
    }
}

/// Whose transactions are taken over where there is no row: as from a life that has left.
pub(super) fn suspect(owner: Incarnation) -> Suspect {
    Suspect { incarnation: owner, node_id: NO_ROW.to_owned(), why: SuspectedFor::Left }
}

/// Searches, and counts what these lives, which are over, have left, too. None if the database does
/// not answer.
pub(super) async fn search(means: Means, over: Vec<Incarnation>) -> Option<Found> {
    let mut owners: Vec<Incarnation> = Vec::new();
    while owners.len() < MOST_OWNERS {
        let page = means.in_time(means.journal.orphans(owners.last().copied())).await?;
        if page.is_empty() {
            break;
        }
        owners.extend(page);
    }
    let mut transactions = 0;
    for owner in owners.iter().chain(&over) {
        transactions += count(&means, *owner).await?;
    }
    Some(Found { owners, transactions })
}

async fn count(means: &Means, owner: Incarnation) -> Option<usize> {
    let (mut counted, mut after) = (0, None);
    while counted < MOST_COUNTED {
        let page = means.journal.driven_by(owner, false, after.as_ref(), PAGE);
        let page = means.in_time(page).await?;
        counted += page.len();
        after = page.last().cloned();
        if after.is_none() {
            break;
        }
    }
    Some(counted)
}
