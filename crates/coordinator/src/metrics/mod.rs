//! What is counted and measured. Names stand in `name`, and nowhere else; labels are
//! bounded, so that no amount of traffic grows the set (see `Participants`).

mod alerts;
mod cluster;
mod describe;
mod forwarding;
mod jobs;
pub mod participants;
mod recent_calls;
mod resources;
mod steps;
mod transactions;

use std::time::Duration;
use tercet_wire::metric;

pub use alerts::{AlertFate, AlertMetrics};
pub use cluster::ClusterMetrics;
pub use forwarding::{Forwarded, ForwardingMetrics};
pub use jobs::JobMetrics;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
pub use participants::{CallResult, ParticipantMetrics, Participants};
pub use recent_calls::{CallCount, Recent, RecentCalls};
pub(crate) use resources::Resources;
pub use steps::StepMetrics;
use thiserror::Error;
pub use transactions::TransactionMetrics;

/// How often samples waiting in memory are folded into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Bounds of durations, in seconds: 0.5 ms to 60 s.
const DURATION_BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

/// Bounds of batch sizes, in records.
const BATCH_BUCKETS: [f64; 11] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Metrics could not be set up.
#[derive(Debug, Error)]
#[error("metrics could not be set up: {0}")]
pub struct InstallError(#[from] BuildError);

/// Starts counting. The handle writes what `/metrics` answers. Call it before anything
/// registers a metric, and run `keep_up` for as long as the process lives.
///
/// # Errors
/// Something else in this process counts already.
pub fn install() -> Result<PrometheusHandle, InstallError> {
    let handle = builder()?.install_recorder()?;
    describe::describe();
    Ok(handle)
}

/// Keeps the memory of histograms bounded when nobody reads `/metrics`: samples wait
/// in memory until they are read or this folds them. Never returns.
pub async fn keep_up(handle: PrometheusHandle) {
    let mut beat = tokio::time::interval(UPKEEP);
    loop {
        beat.tick().await;
        handle.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(metric::TAKE_OVER.to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(
            Matcher::Full(metric::JOURNAL_BATCH_RECORDS.to_owned()),
            &BATCH_BUCKETS,
        )
}

#[cfg(test)]
mod tests {
    use tercet_engine::{Change, Decided, Decision, StoredTransaction, Transaction};
    use tercet_wire::{Arrival, Limits, Now, Status, Wall, check_begin};

    use super::*;

    /// A transaction that took six milliseconds.
    fn confirmed() -> Transaction {
        let request = serde_json::from_str("{}").expect("a begin");
        let instance = "01938d1c-7f00-7abc-8def-0123456789ab".parse().expect("a UUID");
        let arrival = Arrival { instance, at: Wall(1_000), traceparent: None };
        let checked = check_begin(request, &Limits::default(), &arrival).expect("valid");
        let mut stored = StoredTransaction::begun(checked.spec.into());
        let decided = Decided { at: Wall(1_004), decision: Decision::Confirm };
        stored.apply(&Change::Decided(decided)).expect("fits");
        let finished = Change::Finished { status: Status::Confirmed, at: Wall(1_006) };
        stored.apply(&finished).expect("fits");
        Transaction::restore(&stored, Now::default())
    }

    #[test]
    fn every_name_is_there_once_a_transaction_has_ended() {
        let recorder = builder().expect("the buckets are in order").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe::describe();
            let transactions = TransactionMetrics::register();
            let participants = Participants::default();
            participants.of("127.0.0.1:7301").ended(
                tercet_wire::Op::Try.into(),
                CallResult::Done,
                Duration::from_millis(3),
            );
            transactions.finished(&confirmed());
            let (saga, step) = ("trip".parse().expect("a name"), "flight".parse().expect("an id"));
            StepMetrics::default().ended(
                (&saga, &step),
                tercet_wire::Op::Try,
                CallResult::Done,
                Duration::from_millis(3),
            );
            let nodes = ClusterMetrics::register();
            nodes.taken_over("left", Duration::from_millis(3));
        });
        let text = handle.render();
        for name in [
            metric::TRANSACTIONS,
            metric::TRANSACTIONS_ACTIVE,
            metric::TRANSACTION_DURATION,
            metric::PHASE_DURATION,
            metric::BRANCH_CALLS,
            metric::BRANCH_CALL_DURATION,
            metric::SAGA_STEPS,
            metric::SAGA_STEP_DURATION,
            metric::BRANCHES_PARKED,
            metric::TRANSACTIONS_QUARANTINED,
            metric::TRANSACTIONS_OLDEST_AGE,
            metric::PARTICIPANT_QUEUE,
            metric::PARTICIPANT_BREAKER_OPEN,
            metric::JOURNAL_QUEUE_RECORDS,
            metric::TRANSACTIONS_RECOVERED,
            metric::NODES,
            metric::TAKE_OVERS,
            metric::TAKE_OVER,
            metric::FENCED,
            metric::LEASE_AGE,
            metric::ORPHANED,
            metric::BUILD_INFO,
        ] {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name} is missing in\n{text}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no words in\n{text}");
        }
        let buckets = format!("{}_bucket", metric::BRANCH_CALL_DURATION);
        assert!(
            text.contains(&format!(
                "{buckets}{{participant=\"127.0.0.1:7301\",op=\"try\",le=\"0.005\"}} 1"
            )),
            "{text}"
        );
        assert!(text.contains("tercet_take_overs_total{why=\"left\"} 1"), "{text}");
        assert!(text.contains("tercet_take_over_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        let counted = |outcome: &str, reason: &str, pattern: &str, count: u64| {
            let labels = format!("outcome=\"{outcome}\",reason=\"{reason}\",pattern=\"{pattern}\"");
            text.contains(&format!("tercet_transactions_total{{{labels}}} {count}"))
        };
        assert!(counted("confirmed", "", "tcc", 1), "{text}");
        assert!(counted("cancelled", "deadline", "tcc", 0), "{text}");
    }
}
