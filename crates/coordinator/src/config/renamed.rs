//! Settings that are called otherwise or are gone: whoever still gives one is told.

/// Settings that had another name before the first release, and the one they have.
pub(super) const RENAMED: &[(&str, &str)] = &[
    ("alerts.gather_ms", "alerts.group_wait_ms"),
    ("alerts.give_up_after_ms", "alerts.max_age_ms"),
    ("alerts.queue", "alerts.queue_capacity"),
    ("dispatcher.breaker_failures", "dispatcher.breaker_threshold"),
    ("dispatcher.idle_connection_ms", "dispatcher.pool_idle_timeout_ms"),
    ("dispatcher.probe_every_ms", "dispatcher.probe_interval_ms"),
    ("journal.answer_within_ms", "journal.request_timeout_ms"),
    ("limits.resting_transactions", "limits.paged_out_transactions"),
    ("limits.waiting_bytes", "limits.in_memory_waiting_bytes"),
    ("limits.waiting_transactions", "limits.in_memory_waiting_transactions"),
    ("node.longest_stop_ms", "node.max_expected_downtime_ms"),
    ("retention.every_ms", "retention.interval_ms"),
    ("retry.ack_alone_after_ms", "retry.ack_flush_after_ms"),
    ("retry.cap_ms", "retry.max_backoff_ms"),
    ("retry.first_ms", "retry.initial_backoff_ms"),
    ("retry.park_after_doubt_ms", "retry.park_after_ms"),
    ("retry.park_after_wrong", "retry.park_after_permanent_errors"),
];

/// Settings that are gone, and why nobody needs them.
const GONE: &[(&str, &str)] =
    &[("retry.no_room_pause_ms", "a full queue tells when it has room, so nothing asks again")];

/// What has become of a setting that there is no more.
pub(super) fn fate(key: &str) -> Option<String> {
    let named = |table: &'static [(&str, &str)]| {
        table.iter().find(|(old, _)| *old == key).map(|(_, other)| *other)
    };
    let renamed = named(RENAMED).map(|new| format!("it is called {new} now"));
    renamed.or_else(|| named(GONE).map(|why| format!("it is gone: {why}")))
}
