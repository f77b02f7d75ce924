//! The engine over all live transactions.

pub(crate) mod input;
pub(crate) mod output;
