//! Which values a setting can have. A setting's type is its default's; what is
//! narrower than the type stands here.

use std::net::SocketAddr;

use toml::Value;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::alerts::Secret;

const HOUR_MS: i64 = 3_600_000;
const MIB: i64 = 1_048_576;

/// Smallest and greatest value of every number there is.
const NUMBERS: &[(&str, i64, i64)] = &[
    ("server.max_connections", 1, 1_000_000),
    ("server.header_read_timeout_ms", 100, HOUR_MS),
    ("server.body_read_timeout_ms", 100, HOUR_MS),
    ("server.write_timeout_ms", 100, HOUR_MS),
    ("server.max_request_bytes", 1_024, 64 * MIB),
    ("database.read_connections", 1, 1_000),
    ("journal.batch_records", 1, 1_024),
    ("journal.batch_bytes", 4_096, 64 * MIB),
    ("journal.queue_records", 1, 10_000_000),
    ("journal.queue_bytes", 4_096, 16_384 * MIB),
    ("journal.request_timeout_ms", 10, HOUR_MS),
    ("limits.branches", 1, 1_024),
    ("limits.url_bytes", 16, 65_536),
    ("limits.headers", 0, 256),
    ("limits.header_bytes", 16, 65_536),
    ("limits.metadata_bytes", 2, MIB),
    ("limits.payload_bytes", 2, 64 * MIB),
    ("limits.live_transactions", 1, 10_000_000),
    ("limits.live_bytes", MIB, 1_048_576 * MIB),
    ("limits.in_memory_waiting_transactions", 0, 10_000_000),
    ("limits.in_memory_waiting_bytes", 0, 1_048_576 * MIB),
    ("limits.paged_out_transactions", 0, 1_000_000_000),
    ("limits.waiters_per_transaction", 1, 1_000_000),
    ("limits.begin_queue", 1, 1_000_000),
    ("limits.request_queue", 1, 1_000_000),
    ("retry.initial_backoff_ms", 1, HOUR_MS),
    ("retry.max_backoff_ms", 1, 24 * HOUR_MS),
    ("retry.try_attempts", 1, 1_000),
    ("retry.park_after_permanent_errors", 1, 1_000_000),
    ("retry.park_after_ms", 1, 24 * HOUR_MS),
    ("retry.ack_flush_after_ms", 0, HOUR_MS),
    ("dispatcher.destination_path_segments", 0, 16),
    ("dispatcher.per_destination_concurrency", 1, 100_000),
    ("dispatcher.per_destination_queue", 0, 1_000_000),
    ("dispatcher.per_destination_queue_bytes", 0, 1_024 * MIB),
    // One alone would let a single poisoned payload stop all others.
    ("dispatcher.breaker_threshold", 2, 1_000),
    ("dispatcher.probe_interval_ms", 10, HOUR_MS),
    ("dispatcher.probe_timeout_ms", 10, HOUR_MS),
    ("dispatcher.connect_timeout_ms", 10, HOUR_MS),
    ("dispatcher.first_byte_timeout_ms", 0, HOUR_MS),
    ("dispatcher.pool_idle_timeout_ms", 0, HOUR_MS),
    ("alerts.group_wait_ms", 0, HOUR_MS),
    ("alerts.queue_capacity", 1, 100_000),
    ("alerts.timeout_ms", 10, HOUR_MS),
    ("alerts.max_age_ms", 1_000, 7 * 24 * HOUR_MS),
    ("history.lines_per_transaction", 0, 10_000),
    ("retention.branches_days", 0, 36_500),
    ("retention.transactions_days", 0, 36_500),
    ("retention.max_finished", 0, 1_000_000_000),
    ("retention.interval_ms", 10, 24 * HOUR_MS),
    ("shutdown.grace_ms", 0, HOUR_MS),
    ("node.max_expected_downtime_ms", 0, 365 * 24 * HOUR_MS),
];

/// Why this setting cannot have this value, which is of its type.
pub(super) fn objection(key: &str, value: &Value) -> Option<String> {
    match value {
        Value::Integer(number) => match range_of(key) {
            Some((min, max)) if (min..=max).contains(number) => None,
            Some((min, max)) => Some(format!("must be {min} to {max}, not {number}")),
            None => Some("has no range: a fault of ours".to_owned()),
        },
        Value::String(text) => text_objection(key, text),
        Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => None,
    }
}

pub(super) fn range_of(key: &str) -> Option<(i64, i64)> {
    NUMBERS.iter().find(|(name, ..)| *name == key).map(|(_, min, max)| (*min, *max))
}

fn text_objection(key: &str, text: &str) -> Option<String> {
    let must_be = match key {
        "server.listen" if text.parse::<SocketAddr>().is_err() => {
            "an address and port, such as 127.0.0.1:7200"
        }
        "database.url" if !text.contains("://") => "a URL such as sqlite://tercet.db",
        "alerts.webhook_url" if !text.is_empty() && !is_http_url(text) => {
            "empty, or an http or https URL"
        }
        "alerts.webhook_secret" if !text.is_empty() && text.parse::<Secret>().is_err() => {
            "empty, or whsec_ and then 24 to 64 random bytes in base64"
        }
        "log.format" if !matches!(text, "text" | "json") => "text or json",
        "log.filter" if EnvFilter::builder().parse(text).is_err() => {
            "a list of levels, such as info,tercet_coordinator=debug"
        }
        "node.id" if !is_node_id(text) => "at most 128 letters, digits and . _ : -",
        _ => return None,
    };
    // A URL can hold a password, and one that is no URL can too.
    let secret = matches!(key, "database.url" | "alerts.webhook_url" | "alerts.webhook_secret");
    let shown = if secret { String::new() } else { format!(", not {text:?}") };
    Some(format!("must be {must_be}{shown}"))
}

fn is_http_url(text: &str) -> bool {
    let url = text.parse::<Url>();
    url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_node_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-[]".contains(&byte);
    text.len() <= 128 && text.bytes().all(allowed)
}
