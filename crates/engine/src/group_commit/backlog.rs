//! How much waits.

use super::batch::Weight;
use crate::record::Record;

/// Records that are not durable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Backlog {
    /// How many.
    pub records: usize,
    /// About how many bytes they take.
    pub bytes: usize,
}

impl Backlog {
    /// What these records add to it.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let bytes = records.iter().map(|record| Weight::of(record).bytes).sum();
        Self { records: records.len(), bytes }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_add(other.records),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// Whether it has reached either bound.
    #[must_use]
    pub fn reaches(self, most: Self) -> bool {
        self.records >= most.records || self.bytes >= most.bytes
    }
}
