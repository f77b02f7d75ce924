//! One transaction.

/// One live transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transaction {}
