//! What the journal measures of itself. Handles are looked up once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, gauge, histogram,
};
use tercet_engine::Batch;
use tercet_wire::metric;

/// Registered handles.
pub(super) struct Meters {
    pub(super) commit_duration: Histogram,
    pub(super) batch_records: Histogram,
    pub(super) failures: Counter,
    pub(super) quarantined: Counter,
    pub(super) retention_lag: Gauge,
}

impl Meters {
    pub(super) fn register() -> Self {
        describe_gauge!(
            metric::JOURNAL_QUEUE_BYTES,
            Unit::Bytes,
            "Size of the records not durable yet."
        );
        describe_counter!(
            metric::JOURNAL_FAILURES,
            "Batches that could not be written and were submitted again."
        );
        describe_counter!(
            metric::JOURNAL_QUARANTINED,
            "Transactions whose records the journal would not take."
        );
        describe_gauge!(
            metric::RETENTION_LAG,
            Unit::Seconds,
            "How long overdue the deletion of finished transactions is."
        );
        Self {
            commit_duration: histogram!(metric::JOURNAL_COMMIT_DURATION),
            batch_records: histogram!(metric::JOURNAL_BATCH_RECORDS),
            failures: counter!(metric::JOURNAL_FAILURES),
            quarantined: counter!(metric::JOURNAL_QUARANTINED),
            retention_lag: gauge!(metric::RETENTION_LAG),
        }
    }

    pub(super) fn written(&self, batch: &Batch) {
        if !batch.records.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "batches are capped far below 2^53")]
            self.batch_records.record(batch.records.len() as f64);
        }
    }

    pub(super) fn lag(&self, lag: Duration) {
        self.retention_lag.set(lag.as_secs_f64());
    }
}

/// What writing batches asks of a database.
pub(super) struct StatementMeters {
    /// Statements, `BEGIN` and `COMMIT` among them.
    pub(super) statements: Counter,
    /// Transactions that were committed.
    pub(super) commits: Counter,
}

impl StatementMeters {
    pub(super) fn register() -> Self {
        describe_counter!(
            metric::JOURNAL_STATEMENTS,
            "SQL statements that wrote batches, BEGIN and COMMIT too."
        );
        describe_counter!(metric::JOURNAL_COMMITS, "SQL transactions that wrote a batch.");
        Self {
            statements: counter!(metric::JOURNAL_STATEMENTS),
            commits: counter!(metric::JOURNAL_COMMITS),
        }
    }
}

/// What was appended and is not durable yet; shown as gauges, and told to whoever must stop
/// taking work when it grows.
pub(super) struct QueueMeter {
    records: AtomicUsize,
    bytes: AtomicUsize,
    records_gauge: Gauge,
    bytes_gauge: Gauge,
}

impl QueueMeter {
    pub(super) fn register() -> Self {
        Self {
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            records_gauge: gauge!(metric::JOURNAL_QUEUE_RECORDS),
            bytes_gauge: gauge!(metric::JOURNAL_QUEUE_BYTES),
        }
    }

    pub(super) fn add(&self, records: usize, bytes: usize) {
        let before = self.records.fetch_add(records, Ordering::Relaxed);
        self.records_gauge.set(as_gauge(before + records));
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_gauge.set(as_gauge(before + bytes));
    }

    pub(super) fn remove(&self, records: usize, bytes: usize) {
        let before = self.records.fetch_sub(records, Ordering::Relaxed);
        self.records_gauge.set(as_gauge(before - records));
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes_gauge.set(as_gauge(before - bytes));
    }

    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact up to 2^53")]
fn as_gauge(amount: usize) -> f64 {
    amount as f64
}
