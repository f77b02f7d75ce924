//! Counts transactions.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tercet_engine::{Census, Decision, Transaction};
use tercet_wire::{Reason, Status, Wall, metric};

/// The handles, registered once: counting then is an addition.
#[derive(Clone)]
pub struct TransactionMetrics {
    confirmed: Counter,
    cancelled: Vec<(Reason, Counter)>,
    active: Vec<(Status, Gauge)>,
    oldest: Vec<(Status, Gauge)>,
    confirmed_duration: Histogram,
    cancelled_duration: Histogram,
    decision_phase: Histogram,
    completion_phase: Histogram,
    parked: Gauge,
    quarantined: Gauge,
    recovered: Counter,
}

impl TransactionMetrics {
    /// Registers all, at zero. Call it after `metrics::install`.
    #[must_use]
    pub fn register() -> Self {
        let ended = |outcome: Status, reason: &'static str| {
            let ended =
                counter!(metric::TRANSACTIONS, "outcome" => outcome.as_str(), "reason" => reason);
            ended.absolute(0);
            ended
        };
        let by_status = |metric: &'static str| -> Vec<(Status, Gauge)> {
            let unfinished = Status::ALL.iter().filter(|status| !status.is_finished());
            let zeroed = |status: &Status| {
                let gauge = gauge!(metric, "status" => status.as_str());
                gauge.set(0.0);
                (*status, gauge)
            };
            unfinished.map(zeroed).collect()
        };
        let lasted = |outcome: Status| histogram!(metric::TRANSACTION_DURATION, "outcome" => outcome.as_str());
        let parked = gauge!(metric::BRANCHES_PARKED);
        parked.set(0.0);
        let quarantined = gauge!(metric::TRANSACTIONS_QUARANTINED);
        quarantined.set(0.0);
        Self {
            confirmed: ended(Status::Confirmed, ""),
            cancelled: Reason::ALL
                .iter()
                .map(|reason| (*reason, ended(Status::Cancelled, reason.as_str())))
                .collect(),
            active: by_status(metric::TRANSACTIONS_ACTIVE),
            oldest: by_status(metric::TRANSACTIONS_OLDEST_AGE),
            confirmed_duration: lasted(Status::Confirmed),
            cancelled_duration: lasted(Status::Cancelled),
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
        let created_at = ended.spec().created_at;
        let lasted = finished_at.since(created_at);
        match &decided.decision {
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
            let age = counted.map_or(Duration::ZERO, |(_, created_at)| now.since(*created_at));
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
