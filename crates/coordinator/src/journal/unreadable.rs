//! A transaction whose rows make no sense.

use tercet_protocol::Gid;
use thiserror::Error;

/// A transaction whose rows make no sense: damaged, or written by a newer program. The others
/// are read all the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("transaction {gid} cannot be read: {why}")]
pub struct Unreadable {
    /// Which.
    pub gid: Gid,
    /// What is wrong with its rows.
    pub why: String,
}
