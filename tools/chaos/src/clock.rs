//! The one place where this program reads the clock: what it measures are durations.

use std::time::Instant;

/// Now.
#[expect(clippy::disallowed_methods, reason = "durations are what this program is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
