//! What is written of the hold of a database that was restored, with the act that ends it.

use std::sync::Arc;

use tercet_wire::{Status, Wall};

/// A hold begins, or is released: a row that is added, and never changed. The newest says how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HoldChange {
    /// Which of the changes, from 1 without gaps: of two that release it only one can be written.
    pub number: u32,
    /// What is trying, and was begun no later than this, is held; none: nothing is.
    pub held_to: Option<Wall>,
    /// When.
    pub at: Wall,
    /// Who asked for it.
    pub who: Arc<str>,
}

impl HoldChange {
    /// Whether a transaction that stands so, and was begun then, is held as long as this is the newest change.
    #[must_use]
    pub fn holds(&self, status: Status, created_at: Wall) -> bool {
        status == Status::Trying && self.held_to.is_some_and(|to| created_at <= to)
    }
}
