//! Says what each metric is, as `/metrics` shows it, and makes those appear
//! that nobody else registers before something happens: a graph of nothing is one of zero.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};

use super::name;

pub(super) fn describe() {
    describe_counter!(name::TRANSACTIONS, "Finished transactions, by outcome and reason.");
    describe_gauge!(name::TRANSACTIONS_ACTIVE, "Unfinished transactions, by status.");
    describe_histogram!(
        name::TRANSACTION_DURATION,
        Unit::Seconds,
        "Time from begin to the last acknowledgement, by outcome."
    );
    describe_histogram!(
        name::PHASE_DURATION,
        Unit::Seconds,
        "Time from begin to the decision (try) and from there to the end (second)."
    );
    describe_counter!(
        name::BRANCH_CALLS,
        "Calls to participants answered or given up, by what the answer means."
    );
    describe_histogram!(
        name::BRANCH_CALL_DURATION,
        Unit::Seconds,
        "Time from sending a call to having read its answer or giving up."
    );
    describe_gauge!(name::BRANCHES_PARKED, "Branches that do not get on by themselves.");
    describe_gauge!(
        name::TRANSACTIONS_SET_ASIDE,
        "Transactions nothing is done with, after a fault of ours or damage to their rows."
    );
    describe_gauge!(
        name::OLDEST_ACTIVE,
        Unit::Seconds,
        "Age of the oldest unfinished transaction, by status."
    );
    describe_gauge!(name::PARTICIPANT_QUEUE, "Calls waiting for their turn at a participant.");
    describe_gauge!(
        name::PARTICIPANT_BREAKER_OPEN,
        "Destinations of a participant that do not answer, or have only begun to again."
    );
    describe_histogram!(
        name::JOURNAL_COMMIT_DURATION,
        Unit::Seconds,
        "Time until a batch of records was durable."
    );
    describe_histogram!(name::JOURNAL_BATCH_RECORDS, "Records written in one batch.");
    describe_gauge!(name::JOURNAL_QUEUE, "Records not durable yet.");
    describe_counter!(
        name::RECOVERED_TRANSACTIONS,
        "Unfinished transactions found at start-up and driven on."
    );
    describe_counter!(name::HTTP_REQUESTS, "Requests answered, by route and status.");
    describe_histogram!(
        name::HTTP_REQUEST_DURATION,
        Unit::Seconds,
        "Time to answer a request, by route, waits asked for included."
    );
    describe_counter!(
        name::ALERTS,
        "Alerts by what became of them; failed counts attempts, which are made again."
    );
    describe_gauge!(name::ALERTS_WAITING, "Alerts that wait to be delivered.");
    describe_gauge!(name::BUILD_INFO, "Always 1; the version is the label.");

    gauge!(name::JOURNAL_QUEUE).set(0.0);
    gauge!(name::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
