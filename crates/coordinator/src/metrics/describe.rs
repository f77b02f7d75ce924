//! Says what each metric is, as `/metrics` shows it, and makes those appear
//! that nobody else registers before something happens: a graph of nothing is one of zero.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use tercet_wire::metric;

pub(super) fn describe() {
    describe_counter!(
        metric::TRANSACTIONS,
        "Finished transactions, by outcome, reason and pattern."
    );
    describe_gauge!(metric::TRANSACTIONS_ACTIVE, "Unfinished transactions, by status.");
    describe_histogram!(
        metric::TRANSACTION_DURATION,
        Unit::Seconds,
        "Time from begin to the last acknowledgement, by outcome."
    );
    describe_histogram!(
        metric::PHASE_DURATION,
        Unit::Seconds,
        "Time from begin to the decision (decision) and from there to the last acknowledgement (completion)."
    );
    describe_counter!(
        metric::BRANCH_CALLS,
        "Calls to participants answered or given up, by what the answer means."
    );
    describe_histogram!(
        metric::BRANCH_CALL_DURATION,
        Unit::Seconds,
        "Time from sending a call to having read its answer or giving up."
    );
    describe_counter!(
        metric::SAGA_STEPS,
        "Calls of the steps of saga definitions, by what the answer means."
    );
    describe_histogram!(
        metric::SAGA_STEP_DURATION,
        Unit::Seconds,
        "Time that a call of a step of a saga definition took, by saga and step."
    );
    describe_gauge!(metric::BRANCHES_PARKED, "Branches that do not get on by themselves.");
    describe_gauge!(
        metric::TRANSACTIONS_QUARANTINED,
        "Transactions nothing is done with, after a fault of ours or damage to their rows."
    );
    describe_gauge!(
        metric::TRANSACTIONS_OLDEST_AGE,
        Unit::Seconds,
        "Age of the oldest unfinished transaction, by status."
    );
    describe_gauge!(metric::PARTICIPANT_QUEUE, "Calls waiting for their turn at a participant.");
    describe_gauge!(
        metric::PARTICIPANT_PAUSED,
        "1 while an operator has a participant called no more."
    );
    describe_gauge!(
        metric::PARTICIPANT_BREAKER_OPEN,
        "Destinations of a participant that do not answer, or have only begun to again."
    );
    describe_histogram!(
        metric::JOURNAL_COMMIT_DURATION,
        Unit::Seconds,
        "Time until a batch of records was durable."
    );
    describe_histogram!(metric::JOURNAL_BATCH_RECORDS, "Records written in one batch.");
    describe_gauge!(metric::JOURNAL_QUEUE_RECORDS, "Records not durable yet.");
    describe_counter!(
        metric::TRANSACTIONS_RECOVERED,
        "Unfinished transactions found at start-up and driven on."
    );
    describe_counter!(metric::HTTP_REQUESTS, "Requests answered, by route and status.");
    describe_histogram!(
        metric::HTTP_REQUEST_DURATION,
        Unit::Seconds,
        "Time to answer a request, by route, waits asked for included."
    );
    describe_counter!(
        metric::TLS_HANDSHAKES_FAILED,
        "Clients that came to a port of TLS and with whom it could not be spoken."
    );
    describe_counter!(
        metric::LOGINS_FAILED,
        "Requests without a token that counts, by what is wrong with it."
    );
    describe_counter!(
        metric::ALERTS,
        "Alerts by what became of them; failed counts attempts, which are made again."
    );
    describe_counter!(
        metric::ADMISSIONS_REFUSED,
        "Begins, further branches and connections that were not taken for want of room, by the limit."
    );
    describe_gauge!(metric::JOBS_UNFINISHED, "Jobs that this node drives and that have not ended.");
    describe_counter!(
        metric::JOB_ACTS,
        "Transactions that jobs of this node have come to, by action and by what came of it."
    );
    describe_gauge!(metric::ALERTS_WAITING, "Alerts that wait to be delivered.");
    describe_counter!(
        metric::LOG_LINES_DROPPED,
        "Log lines that were not written: too many of one kind, or nobody reads them."
    );
    describe_counter!(
        metric::FORWARDED,
        "Requests about what another node drives, by what became of them."
    );
    describe_gauge!(metric::NODES, "Lives of nodes in the database, by state.");
    describe_counter!(
        metric::TAKE_OVERS,
        "Lives of other nodes that this one has helped to take over from, by why."
    );
    describe_histogram!(
        metric::TAKE_OVER,
        Unit::Seconds,
        "Time from suspecting a life to having all that it drove taken over."
    );
    describe_counter!(metric::FENCED, "How often this node was fenced and has joined again.");
    describe_gauge!(
        metric::LEASE_AGE,
        Unit::Seconds,
        "How long ago this node wrote last, at most; beyond the lease others take over."
    );
    describe_gauge!(
        metric::ORPHANED,
        "Unfinished transactions that no live node drives, counted once a minute."
    );
    describe_gauge!(metric::READY, "Whether this node takes work: 1, or 0 where /readyz is 503.");
    describe_gauge!(metric::HTTP_CONNECTIONS, "Connections of clients that are open, by port.");
    describe_gauge!(metric::PROCESSORS, "Processors that this process may use.");
    describe_gauge!(metric::DATABASE_SIZE, Unit::Bytes, "Size of the database's files.");
    describe_gauge!(
        metric::DATABASE_DISK_FREE,
        Unit::Bytes,
        "What is free where the database's files lie."
    );
    describe_gauge!(
        metric::DATABASE_DISK_SIZE,
        Unit::Bytes,
        "Size of the file system that the database's files lie on."
    );
    describe_gauge!(
        metric::CERTIFICATE_END,
        Unit::Seconds,
        "When a certificate that is shown to others ends, since 1970."
    );
    describe_counter!(
        metric::PROCESS_CPU,
        Unit::Seconds,
        "Processor time that the process has used."
    );
    describe_gauge!(metric::PROCESS_MEMORY, Unit::Bytes, "Memory that the process takes.");
    describe_gauge!(
        metric::PROCESS_OPEN_FILES,
        "Files that the process has open, connections among them."
    );
    describe_gauge!(metric::PROCESS_MAX_FILES, "Files that the process may have open.");
    describe_gauge!(
        metric::PROCESS_START,
        Unit::Seconds,
        "When the process was started, since 1970."
    );
    describe_gauge!(metric::BUILD_INFO, "Always 1; the version is the label.");

    gauge!(metric::JOURNAL_QUEUE_RECORDS).set(0.0);
    counter!(metric::LOG_LINES_DROPPED).increment(0);
    gauge!(metric::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
