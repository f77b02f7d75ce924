//! Counts what becomes of requests about what other nodes drive.

use std::fmt;

use metrics::{Counter, counter};
use tercet_wire::metric;

/// What becomes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// The node that drives it has answered.
    Answered,
    /// Nobody has in time; the outcome is unknown.
    Unreachable,
    /// Likewise, and it was read from the rows.
    FromRows,
    /// It was passed on to this node, which drives it no more, or not yet.
    NotOurs,
}

impl Forwarded {
    const ALL: [Self; 4] = [Self::Answered, Self::Unreachable, Self::FromRows, Self::NotOurs];

    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unreachable => "unreachable",
            Self::FromRows => "from_rows",
            Self::NotOurs => "not_owner",
        }
    }
}

/// The handles, registered once.
#[derive(Clone)]
pub struct ForwardingMetrics(Vec<Counter>);

impl ForwardingMetrics {
    /// Registers all, at what they are.
    #[must_use]
    pub fn register() -> Self {
        let counted = |of: Forwarded| {
            let counted = counter!(metric::FORWARDED, "result" => of.as_str());
            counted.increment(0);
            counted
        };
        Self(Forwarded::ALL.map(counted).to_vec())
    }

    /// One more.
    pub fn count(&self, what: Forwarded) {
        let place = Forwarded::ALL.iter().position(|of| *of == what);
        if let Some(counted) = place.and_then(|place| self.0.get(place)) {
            counted.increment(1);
        }
    }
}

impl fmt::Debug for ForwardingMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardingMetrics").finish_non_exhaustive()
    }
}
