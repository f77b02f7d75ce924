//! How large the parts of a request may be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::{CallRules, KnownEndpoints};

/// Limits on requests, and what holds where one says nothing; all but `own_addresses` and `known` are settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Branches of one transaction.
    pub branches: usize,
    /// Length of a URL, in bytes.
    pub url_bytes: usize,
    /// Headers of one branch.
    pub headers: usize,
    /// Name and value of one header together, in bytes.
    pub header_bytes: usize,
    /// Metadata as compact JSON, in bytes.
    pub metadata_bytes: usize,
    /// One payload, in bytes.
    pub payload_bytes: usize,
    /// The longest one call may take unless its branch says otherwise.
    pub call_timeout: Duration,
    /// Where the coordinator itself listens: it never calls itself.
    pub own_addresses: Vec<SocketAddr>,
    /// Who else is not called.
    pub call_rules: Arc<CallRules>,
    /// Endpoints that were found right by these.
    pub known: KnownEndpoints,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            branches: 64,
            url_bytes: 2_048,
            headers: 16,
            header_bytes: 1_024,
            metadata_bytes: 4_096,
            payload_bytes: 256 * 1_024,
            call_timeout: Duration::from_secs(3),
            own_addresses: Vec::new(),
            call_rules: Arc::default(),
            known: KnownEndpoints::default(),
        }
    }
}
