//! Why a participant cannot be checked.

use thiserror::Error;

/// A participant cannot be checked.
#[derive(Debug, Error)]
pub enum KitError {
    /// The endpoint is of no use.
    #[error("{endpoint:?} is not a participant's endpoint: {why}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// The payload cannot be written as JSON.
    #[error("the payload cannot be written as JSON: {0}")]
    Payload(#[source] serde_json::Error),
    /// The secret is none. It is not said: it may nearly be one.
    #[error("the secret must be whsec_ and then 24 to 64 random bytes in base64")]
    Secret,
    /// The balances cannot be read.
    #[error("the balances cannot be read: {0}")]
    Probe(String),
    /// Nobody said where the balances are.
    #[error("without a probe of its balances nobody can tell what a participant does")]
    NoProbe,
    /// A balance was named that the probes do not show.
    #[error("no probe shows a balance {name:?}; they show: {found}")]
    UnknownBalance {
        /// As named.
        name: String,
        /// What there is.
        found: String,
    },
    /// The very first Try is not done, so there is nothing to compare with.
    #[error("the first Try must be done: {sent}")]
    NoTry {
        /// What was sent, expected and seen.
        sent: String,
    },
}
