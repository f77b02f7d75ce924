//! What is known of an order.

use std::fmt;

use tercet_participant::{ClientError, Outcome, Status};

/// How an order ended, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// How its transaction stands, and why if it was cancelled.
    Known { status: Status, reason: Option<String> },
    /// Nobody has said.
    Unknown,
}

impl End {
    /// What a request about it has brought to light. This is where a failure is logged.
    pub(super) fn of(told: Result<Outcome, ClientError>) -> Self {
        match told {
            Ok(outcome) => {
                let summary = &outcome.transaction().summary;
                let reason = summary.reason.map(|reason| reason.to_string());
                Self::Known { status: summary.status, reason }
            }
            Err(error) => {
                tracing::warn!(%error, "the end of an order is not known");
                Self::Unknown
            }
        }
    }

    /// Whether its decision has been taken, or is told already.
    pub(super) fn is_decided(&self) -> bool {
        match self {
            Self::Known { status, .. } => match status {
                Status::Confirming | Status::Cancelling | Status::Confirmed | Status::Cancelled => {
                    true
                }
                Status::Trying => false,
            },
            Self::Unknown => false,
        }
    }

    /// Whether the piece is sold.
    pub(super) fn is_sold(&self) -> bool {
        matches!(self, Self::Known { status: Status::Confirmed, .. })
    }

    /// Whether there is nothing more to wait for.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Known { status, .. } => match status {
                Status::Confirmed | Status::Cancelled => true,
                Status::Trying | Status::Confirming | Status::Cancelling => false,
            },
            Self::Unknown => false,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { status, reason: Some(reason) } => write!(f, "{status}, {reason}"),
            Self::Known { status, reason: None } => write!(f, "{status}"),
            Self::Unknown => f.write_str("nobody knows"),
        }
    }
}
