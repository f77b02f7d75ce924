//! What the dispatcher may use.

use std::time::Duration;

use tercet_engine::{BreakerSettings, DestinationQueueSettings};

/// Limits and patience of the dispatcher; all from config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatcherSettings {
    /// What one destination may take, and when it is not called any more.
    pub queue: DestinationQueueSettings,
    /// How many path segments, beside scheme, host and port, tell destinations apart:
    /// several services may share one gateway.
    pub path_segments: usize,
    /// How long a connection may take to be made, within the call's own timeout.
    pub connect_timeout: Duration,
    /// How long the status line may take to come, within the call's own timeout; zero leaves
    /// it to that.
    pub first_byte_timeout: Duration,
    /// How long an unused connection is kept. Servers that close theirs a moment before
    /// we use it again cost a call that nobody knows the fate of, so this stays below the
    /// shortest keep-alive in common use, which is 5 s.
    pub pool_idle_timeout: Duration,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self {
            queue: DestinationQueueSettings {
                concurrency: 64,
                queue_entries: 1_024,
                queue_bytes: 16 * 1024 * 1024,
                breaker: BreakerSettings {
                    failures: 5,
                    probe_interval: Duration::from_millis(250),
                    probe_timeout: Duration::from_millis(500),
                },
            },
            path_segments: 1,
            connect_timeout: Duration::from_secs(1),
            first_byte_timeout: Duration::ZERO,
            pool_idle_timeout: Duration::from_secs(4),
        }
    }
}
