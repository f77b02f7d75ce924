//! Counts transactions.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tercet_protocol::{Reason, Status};

use super::name;

/// The handles, registered once: counting then is an addition.
#[derive(Clone)]
pub struct TransactionMetrics {
    confirmed: Counter,
    cancelled: Vec<(Reason, Counter)>,
    active: Vec<(Status, Gauge)>,
    oldest: Vec<(Status, Gauge)>,
    confirmed_duration: Histogram,
    cancelled_duration: Histogram,
    try_phase: Histogram,
    second_phase: Histogram,
    parked: Gauge,
    recovered: Counter,
}

impl TransactionMetrics {
    /// Registers all, at zero. Call it after `metrics::install`.
    #[must_use]
    pub fn register() -> Self {
        let ended = |outcome: Status, reason: &'static str| {
            let ended =
                counter!(name::TRANSACTIONS, "outcome" => outcome.as_str(), "reason" => reason);
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
        let lasted = |outcome: Status| {
            histogram!(name::TRANSACTION_DURATION, "outcome" => outcome.as_str())
        };
        let parked = gauge!(name::BRANCHES_PARKED);
        parked.set(0.0);
        Self {
            confirmed: ended(Status::Confirmed, ""),
            cancelled: Reason::ALL
                .iter()
                .map(|reason| (*reason, ended(Status::Cancelled, reason.as_str())))
                .collect(),
            active: by_status(name::TRANSACTIONS_ACTIVE),
            oldest: by_status(name::OLDEST_ACTIVE),
            confirmed_duration: lasted(Status::Confirmed),
            cancelled_duration: lasted(Status::Cancelled),
            try_phase: histogram!(name::PHASE_DURATION, "phase" => "try"),
            second_phase: histogram!(name::PHASE_DURATION, "phase" => "second"),
            parked,
            recovered: counter!(name::RECOVERED_TRANSACTIONS),
        }
    }

    /// A transaction has ended. `trying` is the time from begin to the decision,
    /// `deciding` that from the decision to the last acknowledgement.
    pub fn finished(
        &self,
        status: Status,
        reason: Option<Reason>,
        trying: Duration,
        deciding: Duration,
    ) {
        let lasted = trying + deciding;
        match status {
            Status::Confirmed => {
                self.confirmed.increment(1);
                self.confirmed_duration.record(lasted);
            }
            Status::Cancelled => {
                // A cancel without a reason does not exist; if one did, it is still counted.
                let counted = reason.unwrap_or(Reason::Requested);
                if let Some((_, counter)) = self.cancelled.iter().find(|(of, _)| *of == counted) {
                    counter.increment(1);
                }
                self.cancelled_duration.record(lasted);
            }
            // Not an end.
            Status::Trying | Status::Confirming | Status::Cancelling => return,
        }
        self.try_phase.record(trying);
        self.second_phase.record(deciding);
    }

    /// How many transactions are in an unfinished status, and how old the oldest is.
    pub fn set_active(&self, status: Status, count: usize, oldest: Duration) {
        if let Some((_, gauge)) = self.active.iter().find(|(of, _)| *of == status) {
            #[expect(clippy::cast_precision_loss, reason = "a count of things in memory is exact")]
            gauge.set(count as f64);
        }
        if let Some((_, gauge)) = self.oldest.iter().find(|(of, _)| *of == status) {
            gauge.set(oldest.as_secs_f64());
        }
    }

    /// How many branches are shown to people.
    pub fn set_parked(&self, branches: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a count of things in memory is exact")]
        self.parked.set(branches as f64);
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
