//! What a load has seen.

use std::time::Duration;

use hdrhistogram::Histogram;

/// What a load has seen.
#[derive(Debug)]
pub(crate) struct Counted {
    /// Transactions that ended while it was measured.
    pub(crate) measured: u64,
    /// How long that was.
    pub(crate) window: Duration,
    /// All transactions that ended, with those before and after.
    pub(crate) ended: u64,
    /// Answers that were not what they must be.
    pub(crate) wrong: u64,
    /// The first of them.
    pub(crate) first_wrong: Option<String>,
    /// From the moment each was to begin until it had ended, in microseconds.
    pub(crate) latency: Histogram<u64>,
    /// Processor time of the generator while it was measured.
    pub(crate) cpu: Duration,
}

/// The longest that latencies are told apart, in microseconds.
const LONGEST_US: u64 = 120_000_000;

impl Counted {
    pub(super) fn nothing() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants, and right")]
        let latency = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("bounds of a histogram");
        Self {
            measured: 0,
            window: Duration::ZERO,
            ended: 0,
            wrong: 0,
            first_wrong: None,
            latency,
            cpu: Duration::ZERO,
        }
    }

    pub(super) fn latency(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.latency.saturating_record(us.max(1));
    }

    pub(super) fn wrong(&mut self, why: String) {
        self.wrong += 1;
        self.first_wrong.get_or_insert(why);
    }

    /// Transactions each second.
    pub(crate) fn per_second(&self) -> f64 {
        self.per(self.window.as_secs_f64())
    }

    /// Transactions for each of something.
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
    fn per(&self, of: f64) -> f64 {
        if of > 0.0 { self.measured as f64 / of } else { 0.0 }
    }

    /// Microseconds of some processor time for each transaction.
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
    pub(crate) fn each_us(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.measured.max(1) as f64
    }

    /// So much of a whole for each transaction.
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
    pub(crate) fn each(&self, whole: u64) -> f64 {
        whole as f64 / self.measured.max(1) as f64
    }

    /// A percentile of the latency, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "latencies here are far below 2^53")]
    pub(crate) fn latency_ms(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }
}
