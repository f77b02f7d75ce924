//! Where a message stands.

use std::fmt;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutboxState {
    /// It is committed, and the coordinator may not have it yet.
    Pending,
    /// The coordinator has it, and sees to it.
    Sent,
    /// Everybody has confirmed.
    Confirmed,
    /// It was cancelled: a Try was refused, say.
    Cancelled,
    /// The coordinator will never take it; why stands beside it.
    Dead,
}

impl OutboxState {
    #[cfg(feature = "sea-orm")]
    const ALL: [Self; 5] =
        [Self::Pending, Self::Sent, Self::Confirmed, Self::Cancelled, Self::Dead];

    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    #[cfg(feature = "sea-orm")]
    pub(super) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for OutboxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
