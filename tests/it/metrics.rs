//! What `/metrics` shows after a known course of events: values, and not only names.

use std::time::{Duration, Instant};

use http::Method;
use tercet_testing::{Client, Gate, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::expected::transaction;

/// What the metrics are at the moment.
struct Metrics(String);

impl Metrics {
    async fn of(client: &Client) -> Self {
        Self(client.send(Method::GET, "/metrics", None).await.text)
    }

    /// The value of the one series of this name with these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |line: &&str| {
            labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
        };
        let of_name =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let found: Vec<&str> = self.0.lines().filter(of_name).filter(has).collect();
        let [line] = found[..] else { panic!("{name} {labels:?}: {found:?} in {}", self.0) };
        line.rsplit_once(' ').expect("a value").1.parse().expect("a number")
    }
}

/// How long the Confirm below is held.
const HELD: Duration = Duration::from_millis(400);

#[expect(clippy::disallowed_methods, reason = "what the daemon measured is compared with a clock")]
#[tokio::test]
async fn durations_are_seconds_and_each_phase_is_its_own() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let (client, gate) = (tercet.client(), Gate::closed());
    participant.next("stock", Op::Confirm, [Reaction::status(200).behind(&gate)]);
    let begun = Instant::now();
    let body = begin("order-1", &[branch(&participant, "stock")]);
    client.begin("?wait=decided", &body).await;
    participant.called("stock", Op::Confirm, 1).await;
    let decided = begun.elapsed();
    // Time that passes is what is measured here.
    tokio::time::sleep(HELD).await;
    gate.open();
    transaction(&client.finished("order-1").await, 200, "confirmed");
    let finished = begun.elapsed();

    let (metrics, at) = (Metrics::of(&client).await, participant.host_port());
    let within = |name: &str, labels: &[(&str, &str)], least: Duration, most: Duration| {
        let sum = metrics.value(&format!("{name}_sum"), labels);
        let (least, most) = (least.as_secs_f64(), most.as_secs_f64());
        // The wall clock's milliseconds, of which a moment may be the one before or after.
        assert!((least - 0.002..=most + 0.002).contains(&sum), "{name} {labels:?}: {sum} s");
        assert!((metrics.value(&format!("{name}_count"), labels) - 1.0).abs() < 0.1, "{name}");
    };
    let confirmed = [("outcome", "confirmed")];
    within("tercet_transaction_duration_seconds", &confirmed, HELD, finished);
    within("tercet_phase_duration_seconds", &[("phase", "decision")], Duration::ZERO, decided);
    within("tercet_phase_duration_seconds", &[("phase", "completion")], HELD, finished);
    let call = |op| [("participant", at.as_str()), ("op", op)];
    within("tercet_branch_call_duration_seconds", &call("try"), Duration::ZERO, decided);
    within("tercet_branch_call_duration_seconds", &call("confirm"), HELD, finished);
    let commits = metrics.value("tercet_journal_commit_duration_seconds_sum", &[]);
    assert!(commits > 0.0 && commits < finished.as_secs_f64(), "{commits} s");
    // Begun and decided; that it finished may be told before it is written.
    let records = metrics.value("tercet_journal_batch_records_sum", &[]);
    assert!((1.9..3.1).contains(&records), "{records} records");
}

#[tokio::test]
async fn what_ended_what_is_under_way_and_what_needs_people_is_counted() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.next("refuses", Op::Try, [Reaction::status(409)]);
    participant.always("stuck", Op::Confirm, Reaction::status(404));
    client.begin("", &begin("a", &[branch(&participant, "stock")])).await;
    client.begin("", &begin("b", &[branch(&participant, "stock")])).await;
    client.begin("", &begin("c", &[branch(&participant, "refuses")])).await;
    client.begin("", &begin_open("d", &[])).await;
    client.begin("?wait=decided", &begin("e", &[branch(&participant, "stuck")])).await;
    client.event("e", "parked").await;
    let is_told = async || {
        let metrics = Metrics::of(&client).await;
        (metrics.value("tercet_branches_parked", &[]) > 0.5).then_some(metrics)
    };
    let metrics = eventually("the parked branch is counted", is_told).await;
    let at = participant.host_port();
    let call = |op, result| [("participant", at.as_str()), ("op", op), ("result", result)];
    for (name, labels, value) in [
        ("tercet_transactions_total", &[("outcome", "confirmed")][..], 2.0),
        ("tercet_transactions_total", &[("outcome", "cancelled"), ("reason", "try-refused")], 1.0),
        ("tercet_transactions_total", &[("outcome", "cancelled"), ("reason", "deadline")], 0.0),
        ("tercet_transactions_active", &[("status", "trying")], 1.0),
        ("tercet_transactions_active", &[("status", "confirming")], 1.0),
        ("tercet_transactions_active", &[("status", "cancelling")], 0.0),
        ("tercet_branches_parked", &[], 1.0),
        ("tercet_transactions_quarantined", &[], 0.0),
        ("tercet_branch_calls_total", &call("try", "done"), 3.0),
        ("tercet_branch_calls_total", &call("try", "refused"), 1.0),
        ("tercet_branch_calls_total", &call("confirm", "done"), 2.0),
        ("tercet_branch_calls_total", &call("cancel", "done"), 1.0),
    ] {
        let found = metrics.value(name, labels);
        assert!((found - value).abs() < 0.1, "{name} {labels:?}: {found}");
    }
    let oldest = [("status", "trying")];
    let oldest = metrics.value("tercet_transactions_oldest_age_seconds", &oldest);
    assert!((0.0..120.0).contains(&oldest), "{oldest} s");
}
