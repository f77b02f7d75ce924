//! Counts alerts.

use std::fmt;
use tercet_wire::metric;

use metrics::{Counter, Gauge, counter, gauge};

/// What became of an alert, or of one attempt to deliver it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertFate {
    /// The receiver took it.
    Delivered,
    /// It was not taken this time.
    Failed,
    /// The queue was full.
    Dropped,
    /// It was not taken for too long.
    Expired,
}

/// The handles, registered once.
#[derive(Clone)]
pub struct AlertMetrics {
    delivered: Counter,
    failed: Counter,
    dropped: Counter,
    expired: Counter,
    waiting: Gauge,
}

impl AlertMetrics {
    /// Registers all, at zero.
    #[must_use]
    pub fn register() -> Self {
        let counted = |result: &'static str| {
            let counted = counter!(metric::ALERTS, "result" => result);
            counted.absolute(0);
            counted
        };
        let waiting = gauge!(metric::ALERTS_WAITING);
        waiting.set(0.0);
        Self {
            delivered: counted("delivered"),
            failed: counted("failed"),
            dropped: counted("dropped"),
            expired: counted("expired"),
            waiting,
        }
    }

    /// Counts what became of so many.
    pub fn count(&self, fate: AlertFate, alerts: usize) {
        let counter = match fate {
            AlertFate::Delivered => &self.delivered,
            AlertFate::Failed => &self.failed,
            AlertFate::Dropped => &self.dropped,
            AlertFate::Expired => &self.expired,
        };
        counter.increment(alerts as u64);
    }

    /// So many wait.
    #[expect(clippy::cast_precision_loss, reason = "the queue is bounded far below 2^52")]
    pub fn waiting(&self, alerts: usize) {
        self.waiting.set(alerts as f64);
    }
}

impl fmt::Debug for AlertMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertMetrics").finish_non_exhaustive()
    }
}
