//! The names of metrics.

/// Finished transactions, by `outcome` and `reason`.
pub const TRANSACTIONS: &str = "tercet_transactions_total";
/// Unfinished transactions, by `status`.
pub const TRANSACTIONS_ACTIVE: &str = "tercet_transactions_active";
/// From begin to the last acknowledgement, by `outcome`.
pub const TRANSACTION_DURATION: &str = "tercet_transaction_duration_seconds";
/// From begin to the decision, and from there to the end, by `phase`: `try`, `second`.
pub const PHASE_DURATION: &str = "tercet_phase_duration_seconds";
/// Calls answered or given up, by `participant`, `op` and `result`.
pub const BRANCH_CALLS: &str = "tercet_branch_calls_total";
/// How long they took, by `participant` and `op`.
pub const BRANCH_CALL_DURATION: &str = "tercet_branch_call_duration_seconds";
/// Branches shown to people.
pub const BRANCHES_PARKED: &str = "tercet_branches_parked";
/// Transactions set aside.
pub const TRANSACTIONS_SET_ASIDE: &str = "tercet_transactions_set_aside";
/// Age of the oldest unfinished transaction, by `status`.
pub const OLDEST_ACTIVE: &str = "tercet_oldest_active_seconds";
/// Calls waiting for their turn, by `participant`.
pub const PARTICIPANT_QUEUE: &str = "tercet_participant_queue";
/// Destinations that are not called freely, by `participant`.
pub const PARTICIPANT_BREAKER_OPEN: &str = "tercet_participant_breaker_open";
/// How long a batch took until it was durable.
pub const JOURNAL_COMMIT_DURATION: &str = "tercet_journal_commit_duration_seconds";
/// Records in a batch.
pub const JOURNAL_BATCH_RECORDS: &str = "tercet_journal_batch_records";
/// Records not durable yet.
pub const JOURNAL_QUEUE: &str = "tercet_journal_queue";
/// Unfinished transactions found at start-up.
pub const RECOVERED_TRANSACTIONS: &str = "tercet_recovered_transactions_total";
/// Requests answered, by `route` and `status`.
pub const HTTP_REQUESTS: &str = "tercet_http_requests_total";
/// How long they took, by `route`.
pub const HTTP_REQUEST_DURATION: &str = "tercet_http_request_duration_seconds";
/// Alerts and attempts to deliver them, by `result`.
pub const ALERTS: &str = "tercet_alerts_total";
/// Alerts that wait to be delivered.
pub const ALERTS_WAITING: &str = "tercet_alerts_waiting";
/// Always 1; the label `version` says what runs.
pub const BUILD_INFO: &str = "tercet_build_info";
