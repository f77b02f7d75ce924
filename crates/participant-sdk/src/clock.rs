//! The one place where this crate reads a clock. Nothing that must be right depends on
//! it: it dates rows, and it turns away a Try whose deadline is an hour past.

use std::time::{SystemTime, UNIX_EPOCH};

use tercet_protocol::Wall;

/// The time of day, as this machine has it.
pub(crate) fn now() -> Wall {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}
