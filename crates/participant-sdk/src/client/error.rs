//! How a request can fail.

use tercet_wire::{Gid, InvalidId, Problem, ProblemCode};

/// A request to the coordinator failed. A transaction that was cancelled is not among these: it
/// is an [`Outcome`](super::Outcome).
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The coordinator's URL is of no use.
    #[error("{url:?} is not the URL of a coordinator: {why}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be set up on this machine.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// The token cannot be sent. It is not shown.
    #[error("the token must be one word of printable ASCII")]
    Token,
    /// What is to name authorities has no certificate.
    #[error("ca: there must be certificates in it, in PEM")]
    Ca,
    /// What is to say who the client is does not. It is not shown.
    #[error("identity: there must be a certificate and its key in it, in PEM")]
    Identity,
    /// An id is none.
    #[error("{what} {given:?}: {source}")]
    Id {
        /// `gid` or `branch id`.
        what: &'static str,
        /// As given.
        given: String,
        /// What is wrong with it.
        source: InvalidId,
    },
    /// A value cannot be sent as a header.
    #[error("{name} {given:?} cannot be sent as a header")]
    Header {
        /// The header.
        name: &'static str,
        /// As given.
        given: String,
    },
    /// A branch whose Try the initiator calls has no Confirm and no Cancel, so that there is nothing
    /// to register.
    #[error("a branch whose Try you call yourself needs a Confirm or a Cancel")]
    NothingToDecide,
    /// A payload or metadata cannot be written as JSON.
    #[error("{what} cannot be written as JSON: {source}")]
    Json {
        /// What it was.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// No answer came, however often it was asked. The transaction may exist and may go on:
    /// ask again with the same gid.
    #[error("no answer about {gid} after {attempts} attempts: {last}")]
    Unanswered {
        /// The transaction.
        gid: Gid,
        /// How often it was asked.
        attempts: u32,
        /// What came instead the last time.
        last: String,
    },
    /// The coordinator says what is wrong with the request.
    #[error("{}: {}", .0.code, .0.detail)]
    Refused(Box<Problem>),
    /// The answer is none of a coordinator's.
    #[error("unexpected answer {status}: {body}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
}

impl ClientError {
    /// The coordinator's code for what is wrong, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Refused(problem) => Some(problem.code),
            Self::Url { .. }
            | Self::Setup(_)
            | Self::Token
            | Self::Ca
            | Self::Identity
            | Self::Id { .. }
            | Self::Header { .. }
            | Self::NothingToDecide
            | Self::Json { .. }
            | Self::Unanswered { .. }
            | Self::Unexpected { .. } => None,
        }
    }

    /// Whether it says that the decision was taken, and was the other one.
    pub(super) fn is_decided_otherwise(&self) -> bool {
        matches!(self.code(), Some(ProblemCode::AlreadyConfirmed | ProblemCode::AlreadyCancelled))
    }
}
