//! Counts transactions.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tercet_engine::{Census, Decision, Transaction};
use tercet_wire::{Pattern, Reason, Status, Wall, metric};

/// The handles, registered once: counting then is an addition.
#[derive(Clone)]
pub struct TransactionMetrics {
    tcc: EndedMetrics,
    /// There once there has been one: where there is none, nobody is shown two of each.
    saga: Arc<OnceLock<EndedMetrics>>,
    active: Vec<(Status, Gauge)>,
    oldest: Vec<(Status, Gauge)>,
    decision_phase: Histogram,
    completion_phase: Histogram,
    parked: Gauge,
    quarantined: Gauge,
    recovered: Counter,
}

/// Of the ends of those of one shape.
#[derive(Clone)]
struct EndedMetrics {
    confirmed: Counter,
    cancelled: Vec<(Reason, Counter)>,
    confirmed_duration: Histogram,
    cancelled_duration: Histogram,
}

impl EndedMetrics {
    fn register(pattern: Pattern) -> Self {
        let pattern = pattern.as_str();
        let ended = |outcome: Status, reason: &'static str| {
            let labels = [("outcome", outcome.as_str()), ("reason", reason), ("pattern", pattern)];
            let ended = counter!(metric::TRANSACTIONS, &labels);
            ended.absolute(0);
            ended
        };
        let lasted = |outcome: Status| {
            let labels = [("outcome", outcome.as_str()), ("pattern", pattern)];
            histogram!(metric::TRANSACTION_DURATION, &labels)
        };
        let reasons = Reason::ALL.iter();
        Self {
            confirmed: ended(Status::Confirmed, ""),
            cancelled: reasons
                .map(|reason| (*reason, ended(Status::Cancelled, reason.as_str())))
                .collect(),
            confirmed_duration: lasted(Status::Confirmed),
            cancelled_duration: lasted(Status::Cancelled),
        }
    }

    fn count(&self, decision: &Decision, lasted: Duration) {
        match decision {
            Decision::Confirm => {
                self.confirmed.increment(1);
                self.confirmed_duration.record(lasted);
            }
            Decision::Cancel { reason, .. } => {
                if let Some((_, counter)) = self.cancelled.iter().find(|(of, _)| of == reason) {
                    counter.increment(1);
                }
                self.cancelled_duration.record(lasted);
            }
        }
    }
}

impl TransactionMetrics {
    /// Registers all, at zero. Call it after `metrics::install`.
    #[must_use]
    pub fn register() -> Self {
        let by_status = |metric: &'static str| -> Vec<(Status, Gauge)> {
            let unfinished = Status::ALL.iter().filter(|status| !status.is_finished());
            let zeroed = |status: &Status| {
                let gauge = gauge!(metric, "status" => status.as_str());
                gauge.set(0.0);
                (*status, gauge)
            };
            unfinished.map(zeroed).collect()
        };
        let parked = gauge!(metric::BRANCHES_PARKED);
        parked.set(0.0);
        let quarantined = gauge!(metric::TRANSACTIONS_QUARANTINED);
        quarantined.set(0.0);
        Self {
            tcc: EndedMetrics::register(Pattern::Tcc),
            saga: Arc::default(),
            active: by_status(metric::TRANSACTIONS_ACTIVE),
            oldest: by_status(metric::TRANSACTIONS_OLDEST_AGE),
            decision_phase: histogram!(metric::PHASE_DURATION, "phase" => "decision"),
            completion_phase: histogram!(metric::PHASE_DURATION, "phase" => "completion"),
            parked,
            quarantined,
            recovered: counter!(metric::TRANSACTIONS_RECOVERED),
        }
    }

    /// A transaction has ended.
    pub fn finished(&self, ended: &Transaction) {
        let (Some(decided), Some(finished_at)) = (ended.decided(), ended.finished_at()) else {
            return;
        };
        let (created_at, pattern) = (ended.spec().created_at, ended.spec().pattern);
        let ended = match pattern {
            Pattern::Tcc => &self.tcc,
            Pattern::Saga => self.saga.get_or_init(|| EndedMetrics::register(Pattern::Saga)),
        };
        ended.count(&decided.decision, finished_at.since(created_at));
        self.decision_phase.record(decided.at.since(created_at));
        self.completion_phase.record(finished_at.since(decided.at));
    }

    /// How many transactions stand where, how old the oldest are, and how many branches are
    /// shown to people.
    #[expect(clippy::cast_precision_loss, reason = "a count of things in memory is exact")]
    pub fn take_census(&self, census: &Census, now: Wall) {
        for ((status, active), (_, oldest)) in self.active.iter().zip(&self.oldest) {
            let counted = census.by_status.get(status);
            active.set(counted.map_or(0, |(count, _)| *count) as f64);
            let begun = counted.and_then(|(_, created_at)| *created_at);
            let age = begun.map_or(Duration::ZERO, |created_at| now.since(created_at));
            oldest.set(age.as_secs_f64());
        }
        self.parked.set(census.parked_branches as f64);
        self.quarantined.set(census.quarantined as f64);
    }

    /// This many unfinished transactions were found at start-up.
    pub fn recovered(&self, transactions: u64) {
        self.recovered.increment(transactions);
    }
}

impl std::fmt::Debug for TransactionMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionMetrics").finish_non_exhaustive()
    }
}
