//! A participant's books: what its guard has written down of each branch, as the SDK's router serves it.

use serde::{Deserialize, Serialize};

use crate::ids::{BranchId, Gid, Instance};
use crate::status::BranchStatus;
use crate::time::Wall;

/// A row of the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookEntry {
    /// The transaction.
    pub gid: Gid,
    /// The branch.
    pub branch: BranchId,
    /// The life of the gid that wrote it.
    pub instance: Instance,
    /// What was done: `tried`, `confirmed` or `cancelled`.
    pub state: BranchStatus,
    /// When the branch was last called, give or take a day.
    pub at: Wall,
}

impl BookEntry {
    /// Where the page begins that follows this row.
    #[must_use]
    pub fn cursor(&self) -> String {
        format!("{}/{}", self.gid, self.branch)
    }
}
