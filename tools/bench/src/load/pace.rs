//! When the next transaction begins.

use std::time::{Duration, Instant};

/// How fast transactions are begun.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// On each connection as soon as the one before has ended.
    Closed,
    /// So many each second, whether or not those before have ended. What cannot begin in time
    /// for want of a connection waits, and the wait counts as latency: a system that stands
    /// still for a second has made everybody wait who would have come in that second, not only
    /// the one it stood still with (coordinated omission).
    Rate(f64),
}

impl Pace {
    /// When transaction `number` (from 0) of a load begun at `start` is to begin; none: as soon
    /// as it can.
    pub(crate) fn due(self, start: Instant, number: u64) -> Option<Instant> {
        match self {
            Self::Closed => None,
            #[expect(clippy::cast_precision_loss, reason = "loads are far shorter than 2^53")]
            Self::Rate(rate) => Some(start + Duration::from_secs_f64(number as f64 / rate)),
        }
    }
}
