//! Whether something is held since a restore, over rows in memory.

use tercet_engine::{Batch, HoldChange};

use crate::store::CommitError;

/// All changes of that, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Holds {
    changes: Vec<HoldChange>,
}

impl Holds {
    /// Whether what a batch has of them may be written: each number is there once.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), CommitError> {
        let is_there =
            |change: &HoldChange| self.changes.iter().any(|it| it.number == change.number);
        match of(batch).find(|change| is_there(change)) {
            Some(change) => {
                Err(CommitError::Rejected(format!("holds has number {}", change.number)))
            }
            None => Ok(()),
        }
    }

    pub(super) fn add(&mut self, batch: &Batch) {
        self.changes.extend(of(batch).cloned());
        self.changes.sort_by_key(|change| change.number);
    }

    pub(super) fn newest(&self) -> Option<HoldChange> {
        self.changes.last().cloned()
    }
}

fn of(batch: &Batch) -> impl Iterator<Item = &HoldChange> {
    batch.acts.iter().filter_map(|alone| alone.hold.as_ref())
}
