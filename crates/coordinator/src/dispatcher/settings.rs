//! What the dispatcher may use.

use std::time::Duration;

/// Limits and patience of the dispatcher; all from config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatcherSettings {
    /// Calls under way at one destination at a time; at least 1.
    pub concurrency: usize,
    /// Calls that may wait for their turn at one destination.
    pub queue_entries: usize,
    /// Bytes of payload that may wait for their turn at one destination.
    pub queue_bytes: usize,
    /// How many path segments, beside scheme, host and port, tell destinations apart:
    /// several services may share one gateway.
    pub path_segments: usize,
    /// How long a connection may take to be made, within the call's own timeout.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Servers that close theirs a moment before
    /// we use it again cost a call that nobody knows the fate of, so this stays below the
    /// shortest keep-alive in common use, which is 5 s.
    pub idle_connection: Duration,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self {
            concurrency: 64,
            queue_entries: 1_024,
            queue_bytes: 16 * 1024 * 1024,
            path_segments: 1,
            connect_timeout: Duration::from_secs(1),
            idle_connection: Duration::from_secs(4),
        }
    }
}
