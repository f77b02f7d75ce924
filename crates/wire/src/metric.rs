//! The names of metrics: what dashboards and alerts of operators rely on, in one place.

/// Finished transactions, by `outcome` and `reason`.
pub const TRANSACTIONS: &str = "tercet_transactions_total";
/// Unfinished transactions, by `status`.
pub const TRANSACTIONS_ACTIVE: &str = "tercet_transactions_active";
/// From begin to the last acknowledgement, by `outcome`.
pub const TRANSACTION_DURATION: &str = "tercet_transaction_duration_seconds";
/// From begin to the decision, and from there to the end, by `phase`: `decision`, `completion`.
pub const PHASE_DURATION: &str = "tercet_phase_duration_seconds";
/// Calls answered or given up, by `participant`, `op` and `result`.
pub const BRANCH_CALLS: &str = "tercet_branch_calls_total";
/// How long they took, by `participant` and `op`.
pub const BRANCH_CALL_DURATION: &str = "tercet_branch_call_duration_seconds";
/// Calls of steps of saga definitions, by `saga`, `step`, `op` and `result`.
pub const SAGA_STEPS: &str = "tercet_saga_steps_total";
/// How long they took, by `saga` and `step`.
pub const SAGA_STEP_DURATION: &str = "tercet_saga_step_duration_seconds";
/// Branches shown to people.
pub const BRANCHES_PARKED: &str = "tercet_branches_parked";
/// Transactions quarantined.
pub const TRANSACTIONS_QUARANTINED: &str = "tercet_transactions_quarantined";
/// Age of the oldest unfinished transaction, by `status`.
pub const TRANSACTIONS_OLDEST_AGE: &str = "tercet_transactions_oldest_age_seconds";
/// Begins, further branches and connections that were not taken for want of room, by `cause`.
pub const ADMISSIONS_REFUSED: &str = "tercet_admissions_refused_total";
/// Calls waiting for their turn, by `participant`.
pub const PARTICIPANT_QUEUE: &str = "tercet_participant_queue";
/// Destinations that are not called freely, by `participant`.
pub const PARTICIPANT_BREAKER_OPEN: &str = "tercet_participant_breaker_open";
/// 1 while an operator has it called no more, by `participant`.
pub const PARTICIPANT_PAUSED: &str = "tercet_participant_paused";
/// How long a batch took until it was durable.
pub const JOURNAL_COMMIT_DURATION: &str = "tercet_journal_commit_duration_seconds";
/// Records in a batch.
pub const JOURNAL_BATCH_RECORDS: &str = "tercet_journal_batch_records";
/// Records not durable yet.
pub const JOURNAL_QUEUE_RECORDS: &str = "tercet_journal_queue_records";
/// Size of the records not durable yet.
pub const JOURNAL_QUEUE_BYTES: &str = "tercet_journal_queue_bytes";
/// Batches that could not be written and were submitted again.
pub const JOURNAL_FAILURES: &str = "tercet_journal_failures_total";
/// Transactions whose records the journal would not take.
pub const JOURNAL_QUARANTINED: &str = "tercet_journal_quarantined_total";
/// SQL statements that wrote batches.
pub const JOURNAL_STATEMENTS: &str = "tercet_journal_statements_total";
/// SQL transactions that wrote a batch.
pub const JOURNAL_COMMITS: &str = "tercet_journal_commits_total";
/// How long overdue the deletion of finished transactions is.
pub const RETENTION_LAG: &str = "tercet_retention_lag_seconds";
/// Jobs that this node drives and that have not ended.
pub const JOBS_UNFINISHED: &str = "tercet_jobs_unfinished";
/// Transactions that jobs of this node have come to, by `action` and `result`: `done`, `failed`,
/// `put_off`.
pub const JOB_ACTS: &str = "tercet_job_acts_total";
/// Unfinished transactions found at start-up.
pub const TRANSACTIONS_RECOVERED: &str = "tercet_transactions_recovered_total";
/// Requests answered, by `route` and `status`.
pub const HTTP_REQUESTS: &str = "tercet_http_requests_total";
/// How long they took, by `route`.
pub const HTTP_REQUEST_DURATION: &str = "tercet_http_request_duration_seconds";
/// Clients with whom TLS could not be spoken.
pub const TLS_HANDSHAKES_FAILED: &str = "tercet_tls_handshakes_failed_total";
/// Requests without a token that counts, by `why`: `missing`, `malformed`, `unknown`, `jwt`,
/// `certificate`.
pub const LOGINS_FAILED: &str = "tercet_logins_failed_total";
/// Alerts and attempts to deliver them, by `result`.
pub const ALERTS: &str = "tercet_alerts_total";
/// Alerts that wait to be delivered.
pub const ALERTS_WAITING: &str = "tercet_alerts_waiting";
/// Log lines that were not written.
pub const LOG_LINES_DROPPED: &str = "tercet_log_lines_dropped_total";
/// Requests about what another node drives, by `result`: `answered`, `unreachable`, `from_rows`,
/// `not_owner`.
pub const FORWARDED: &str = "tercet_forwarded_total";
/// Lives of nodes in the database, by `state`.
pub const NODES: &str = "tercet_nodes";
/// Lives that were taken over from, by `why`: `silence`, `fenced`, `left`.
pub const TAKE_OVERS: &str = "tercet_take_overs_total";
/// How long that took.
pub const TAKE_OVER: &str = "tercet_take_over_seconds";
/// How often this process was fenced.
pub const FENCED: &str = "tercet_fenced_total";
/// How long ago this process wrote last, at most.
pub const LEASE_AGE: &str = "tercet_lease_age_seconds";
/// Unfinished transactions that no live node drives.
pub const ORPHANED: &str = "tercet_orphaned";
/// Whether this node takes work: 1, or 0 where `/readyz` is 503.
pub const READY: &str = "tercet_ready";
/// Connections of clients that are open, by `port`: `main`, `admin`.
pub const HTTP_CONNECTIONS: &str = "tercet_http_connections";
/// Processors that this process may use.
pub const PROCESSORS: &str = "tercet_processors";
/// Bytes that the database's files take.
pub const DATABASE_SIZE: &str = "tercet_database_size_bytes";
/// Bytes that are free where they lie.
pub const DATABASE_DISK_FREE: &str = "tercet_database_disk_free_bytes";
/// Bytes that there are at all where they lie.
pub const DATABASE_DISK_SIZE: &str = "tercet_database_disk_size_bytes";
/// When a certificate that is shown to others ends, in seconds since 1970, by `of`: `server`, `calls`, `nodes`.
pub const CERTIFICATE_END: &str = "tercet_certificate_end_timestamp_seconds";
/// Seconds of processor time that the process has used; named as every Prometheus client does.
pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
/// Bytes of memory that it takes.
pub const PROCESS_MEMORY: &str = "process_resident_memory_bytes";
/// Files that it has open, connections among them.
pub const PROCESS_OPEN_FILES: &str = "process_open_fds";
/// Files that it may have open.
pub const PROCESS_MAX_FILES: &str = "process_max_fds";
/// When it was started, in seconds since 1970.
pub const PROCESS_START: &str = "process_start_time_seconds";
/// Always 1; the label `version` says what runs.
pub const BUILD_INFO: &str = "tercet_build_info";
