//! time and entropy, read here and nowhere else in this crate. Nothing that must be right depends on
//! them: they date rows, spread retries, name transactions, and turn away a Try whose deadline is an
//! hour past.

#![expect(clippy::disallowed_methods, reason = "this is the door")]

use tercet_wire::Wall;
use uuid::Uuid;

/// The time of day, as this machine has it.
pub(crate) fn now() -> Wall {
    use std::time::{SystemTime, UNIX_EPOCH};
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// Uniformly random bits, from which jitter is taken.
pub(crate) fn entropy() -> u64 {
    fastrand::u64(..)
}

/// A new name for a transaction: time-ordered, so that the coordinator's index grows at one end.
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}
