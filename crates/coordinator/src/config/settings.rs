//! Settings as the rest of the daemon gets them. What each means stands in
//! config/tercet.toml.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tercet_wire::{Backoff, KnownEndpoints, Limits, SigningKey};
use url::Url;

use crate::access::doubled;
use crate::alerts::AlertSettings;
use crate::config::auth::AuthSection;
use crate::config::tls::{CallsTlsSection, ServerTlsSection};
use crate::config::traces::TraceSection;
use crate::config::{ConfigError, Flags, Layers, ParticipantSection, ShownSettings};
use crate::secret::{DatabaseUrl, Secret, SecretUrl};
use crate::telemetry::LogFormat;

/// Heartbeats in a lease, at least.
const LEAST_HEARTBEATS: u32 = 4;

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server.
    pub server: ServerSection,
    /// Who may do what.
    pub auth: AuthSection,
    /// Where the journal is.
    pub database: DatabaseSettings,
    /// How it writes.
    pub journal: JournalSection,
    /// How much there may be of what.
    pub limits: LimitSettings,
    /// Calls that are made again.
    pub retry: RetrySettings,
    /// Calls on their way.
    pub dispatcher: DispatcherSection,
    /// Who may be called, and whose calls are signed.
    pub participants: ParticipantSection,
    /// Telling people.
    pub alerts: AlertSection,
    /// Telling a collector of spans.
    pub traces: TraceSection,
    /// What is kept of what went wrong.
    pub history: HistorySettings,
    /// How fast jobs are.
    pub jobs: JobsSettings,
    /// How long finished transactions are kept.
    pub retention: RetentionSettings,
    /// Logs.
    pub log: LogSettings,
    /// Stopping.
    pub shutdown: ShutdownSettings,
    /// The other nodes on the same database.
    pub cluster: ClusterSection,
    /// This node.
    pub node: NodeSettings,
    /// Pages for people.
    pub console: ConsoleSection,
    /// All of these, as they may be shown.
    #[serde(skip)]
    pub shown: ShownSettings,
}

impl Settings {
    /// What the daemon works with when it is given nothing.
    ///
    /// # Errors
    /// None: that the defaults fit is tested.
    pub fn built_in() -> Result<Self, ConfigError> {
        Layers::gather(None, [], &Flags::new())?.settings()
    }

    /// What requests are checked against, and what holds where one says nothing, by a node that
    /// listens on these addresses.
    #[must_use]
    pub fn of_requests(&self, own_addresses: Vec<SocketAddr>) -> Limits {
        let limits = &self.limits;
        Limits {
            branches: limits.branches,
            url_bytes: limits.url_bytes,
            headers: limits.headers,
            header_bytes: limits.header_bytes,
            metadata_bytes: limits.metadata_bytes,
            payload_bytes: limits.payload_bytes,
            call_timeout: self.dispatcher.call_timeout,
            own_addresses,
            call_rules: self.participants.call_rules(),
            known: KnownEndpoints::default(),
        }
    }

    /// What does not go together: the setting that is to be changed, and what it must be.
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        if let Some((one, other)) = doubled(&self.auth.tokens) {
            let what = format!("has the same sha256 twice: {} and {}", one.name, other.name);
            return Some(("auth.tokens", what));
        }
        if let Some(objection) = self.auth.jwt.objection() {
            return Some(objection);
        }
        if let Some(objection) = self.participants.objection() {
            return Some(objection);
        }
        if let Some(objection) = self.traces.objection() {
            return Some(objection);
        }
        let of_tls = self.server.tls.objection().or_else(|| self.dispatcher.tls.objection());
        if let Some(objection) = of_tls.or_else(|| self.cluster.tls_objection()) {
            return Some(objection);
        }
        let ClusterSection { heartbeat, lease, .. } = self.cluster;
        // A node knows of its own last batch by its looks: up to three heartbeats late, when one of
        // them comes just before a batch. With less it would hold back calls while all is well.
        let least = heartbeat * LEAST_HEARTBEATS;
        (lease < least).then(|| {
            let (lease, heartbeat, least) = (lease.as_millis(), heartbeat.as_millis(), least.as_millis());
            let what = format!(
                "must be at least {LEAST_HEARTBEATS} times cluster.heartbeat_ms, which is {heartbeat}: \
                 {least} or more, not {lease}"
            );
            ("cluster.lease_ms", what)
        })
    }

    /// The first setting that says who is let in; none where everybody is. That the port speaks TLS
    /// says nothing of who.
    #[must_use]
    pub fn access_rules(&self) -> Option<&'static str> {
        let by_certificate = !self.server.tls.client_names.is_empty();
        self.auth.rules().or_else(|| by_certificate.then_some("server.tls.client_names"))
    }

    /// Whether several nodes can use the database at once: it is a server's.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        !self.database.url.expose().starts_with("sqlite:")
    }

    /// The node's name. On SQLite there is one node to a file, whatever address it got; on a
    /// server, one without a name of its own is known by its machine's and its port: the address
    /// it listens on is the same for many.
    #[must_use]
    pub fn node_id(&self, listens_on: SocketAddr) -> String {
        if !self.node.id.is_empty() {
            self.node.id.clone()
        } else if !self.is_shared() {
            "single".to_owned()
        } else {
            let uname = rustix::system::uname();
            let machine = uname.nodename().to_string_lossy();
            // As much of it as a name may have.
            let allowed = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
            let machine: String = machine.chars().filter(allowed).take(100).collect();
            format!("{machine}:{}", listens_on.port())
        }
    }
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to listen for probes alone, if anywhere.
    #[serde(deserialize_with = "unless_empty")]
    pub admin_listen: Option<SocketAddr>,
    /// Origins of pages that may ask for changes, beside the daemon's own.
    pub allowed_origins: Vec<String>,
    /// Names by which a daemon on the loopback interface may be asked, beside that interface's.
    pub allowed_hosts: Vec<String>,
    /// Threads for connections and calls; 0: by the machine.
    pub threads: usize,
    /// Connections open at a time.
    pub max_connections: usize,
    /// For a request's line and headers to arrive.
    #[serde(rename = "header_read_timeout_ms", deserialize_with = "millis")]
    pub header_read_timeout: Duration,
    /// For a request's body to arrive.
    #[serde(rename = "body_read_timeout_ms", deserialize_with = "millis")]
    pub body_read_timeout: Duration,
    /// For an answer, or what is left of it, to be taken a little further by who asked.
    #[serde(rename = "write_timeout_ms", deserialize_with = "millis")]
    pub write_timeout: Duration,
    /// Bytes of a request's body.
    pub max_request_bytes: usize,
    /// Bytes that bodies being received take together.
    pub receiving_bytes: usize,
    /// TLS on the port.
    pub tls: ServerTlsSection,
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Where the journal is.
    pub url: DatabaseUrl,
    /// Connections that read for people.
    pub read_connections: u32,
    /// Whether the release before may have to use the database again.
    pub can_go_back: bool,
}

/// `[journal]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalSection {
    /// Records in one batch.
    pub batch_records: usize,
    /// Bytes in one batch.
    pub batch_bytes: usize,
    /// Records that are not durable yet, beyond which begins are refused.
    pub queue_records: usize,
    /// Bytes of them.
    pub queue_bytes: usize,
    /// How long a request waits for a journal that does not answer.
    #[serde(rename = "request_timeout_ms", deserialize_with = "millis")]
    pub request_timeout: Duration,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Branches of one transaction.
    pub branches: usize,
    /// Bytes of a URL.
    pub url_bytes: usize,
    /// Headers of one branch.
    pub headers: usize,
    /// Bytes of one header.
    pub header_bytes: usize,
    /// Bytes of metadata.
    pub metadata_bytes: usize,
    /// Bytes of one payload.
    pub payload_bytes: usize,
    /// Unfinished transactions in memory.
    pub live_transactions: usize,
    /// Bytes they take.
    pub live_bytes: usize,
    /// Decided transactions that wait in memory for a participant.
    pub in_memory_waiting_transactions: usize,
    /// Bytes they take.
    pub in_memory_waiting_bytes: usize,
    /// Decided transactions that rest in the journal.
    pub paged_out_transactions: usize,
    /// Requests waiting for one transaction.
    pub waiters_per_transaction: usize,
    /// Begins waiting for their turn.
    pub begin_queue: usize,
    /// Other requests waiting for their turn.
    pub request_queue: usize,
}

/// `[retry]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// Longest pause after the first failure.
    #[serde(rename = "initial_backoff_ms", deserialize_with = "millis")]
    pub initial_backoff: Duration,
    /// Longest pause after any failure.
    #[serde(rename = "max_backoff_ms", deserialize_with = "millis")]
    pub max_backoff: Duration,
    /// Calls of a Try that may fail.
    pub try_attempts: u32,
    /// Hopeless answers in a row before a branch is parked.
    pub park_after_permanent_errors: u32,
    /// Time without an answer before a branch is parked.
    #[serde(rename = "park_after_ms", deserialize_with = "millis")]
    pub park_after: Duration,
    /// How long an acknowledgement waits for its siblings'.
    #[serde(rename = "ack_flush_after_ms", deserialize_with = "millis")]
    pub ack_flush_after: Duration,
}

impl RetrySettings {
    /// The pauses between failed calls.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        Backoff { first: self.initial_backoff, cap: self.max_backoff }
    }
}

/// `[dispatcher]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatcherSection {
    /// Path segments that tell destinations apart.
    pub destination_path_segments: usize,
    /// Calls under way at one destination.
    pub per_destination_concurrency: usize,
    /// Calls waiting for one destination.
    pub per_destination_queue: usize,
    /// Bytes of payload waiting for one destination.
    pub per_destination_queue_bytes: usize,
    /// Distinct transactions whose calls fail in a row until a destination is only probed.
    pub breaker_threshold: usize,
    /// From one probe to the next, at least; at most twice.
    #[serde(rename = "probe_interval_ms", deserialize_with = "millis")]
    pub probe_interval: Duration,
    /// How long a probe may be silent before the next.
    #[serde(rename = "probe_timeout_ms", deserialize_with = "millis")]
    pub probe_timeout: Duration,
    /// For a call whose branch says nothing else.
    #[serde(rename = "call_timeout_ms", deserialize_with = "millis")]
    pub call_timeout: Duration,
    /// For a connection to be made.
    #[serde(rename = "connect_timeout_ms", deserialize_with = "millis")]
    pub connect_timeout: Duration,
    /// For an answer's status line to come; zero: the call's own timeout.
    #[serde(rename = "first_byte_timeout_ms", deserialize_with = "millis")]
    pub first_byte_timeout: Duration,
    /// How long an unused connection is kept.
    #[serde(rename = "pool_idle_timeout_ms", deserialize_with = "millis")]
    pub pool_idle_timeout: Duration,
    /// TLS of calls.
    pub tls: CallsTlsSection,
}

/// `[alerts]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSection {
    /// Who receives them.
    #[serde(deserialize_with = "unless_empty")]
    pub webhook_url: Option<SecretUrl>,
    /// What they are signed with.
    #[serde(deserialize_with = "unless_empty")]
    pub webhook_secret: Option<Secret<SigningKey>>,
    /// How long news is gathered into one alert.
    #[serde(rename = "group_wait_ms", deserialize_with = "millis")]
    pub group_wait: Duration,
    /// How long a participant does not answer before people are told.
    #[serde(rename = "unreachable_after_ms", deserialize_with = "millis")]
    pub unreachable_after: Duration,
    /// Alerts that wait to be sent.
    pub queue_capacity: usize,
    /// For one delivery.
    #[serde(rename = "timeout_ms", deserialize_with = "millis")]
    pub timeout: Duration,
    /// How long after it was raised an alert is given up.
    #[serde(rename = "max_age_ms", deserialize_with = "millis")]
    pub max_age: Duration,
}

impl AlertSection {
    /// What alerting works with, if somebody is to be told; failed deliveries are repeated
    /// with these pauses.
    #[must_use]
    pub fn of_webhook(&self, backoff: Backoff) -> Option<AlertSettings> {
        Some(AlertSettings {
            url: self.webhook_url.clone()?,
            key: self.webhook_secret.clone(),
            group_wait: self.group_wait,
            queue_capacity: self.queue_capacity,
            timeout: self.timeout,
            max_age: self.max_age,
            backoff,
        })
    }
}

/// `[console]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSection {
    /// Whether it is there.
    pub enabled: bool,
}

/// `[history]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistorySettings {
    /// Lines kept of one transaction.
    pub lines_per_transaction: u32,
}

/// `[jobs]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsSettings {
    /// Transactions acted on in a second.
    pub per_second: u32,
}

/// `[retention]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Until branches, payloads and history are deleted.
    #[serde(rename = "branches_days", deserialize_with = "days")]
    pub branches: Duration,
    /// Until a transaction is forgotten.
    #[serde(rename = "transactions_days", deserialize_with = "days")]
    pub transactions: Duration,
    /// Until what operators did is deleted.
    #[serde(rename = "audit_days", deserialize_with = "days")]
    pub audit: Duration,
    /// Until a job that has ended is deleted.
    #[serde(rename = "jobs_days", deserialize_with = "days")]
    pub jobs: Duration,
    /// Finished transactions kept.
    pub max_finished: u64,
    /// From one round of deleting to the next.
    #[serde(rename = "interval_ms", deserialize_with = "millis")]
    pub interval: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// Which lines.
    pub filter: String,
}

/// `[shutdown]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownSettings {
    /// How long everything is still served, so that balancers can look elsewhere.
    #[serde(rename = "drain_ms", deserialize_with = "millis")]
    pub drain: Duration,
    /// How long what is in flight is waited for.
    #[serde(rename = "grace_ms", deserialize_with = "millis")]
    pub grace: Duration,
}

/// `[cluster]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSection {
    /// Where other nodes reach this one, if it was said.
    #[serde(deserialize_with = "unless_empty")]
    pub advertise_url: Option<Url>,
    /// From one sign of life to the next, and from one look at the others' to the next.
    #[serde(rename = "heartbeat_ms", deserialize_with = "millis")]
    pub heartbeat: Duration,
    /// How long a node may give none before the others take over what it drives.
    #[serde(rename = "lease_ms", deserialize_with = "millis")]
    pub lease: Duration,
    /// Whose certificates the other nodes have; absent: those whom the system trusts.
    #[serde(deserialize_with = "unless_empty")]
    pub ca_file: Option<PathBuf>,
    /// What is shown to a node that asks for a certificate.
    #[serde(deserialize_with = "unless_empty")]
    pub cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(deserialize_with = "unless_empty")]
    pub key_file: Option<PathBuf>,
}

/// `[node]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// Its name, if it was given one; see `Settings::node_id`.
    pub id: String,
    /// How long it may have been down before its clock is doubted.
    #[serde(rename = "max_expected_downtime_ms", deserialize_with = "millis")]
    pub max_expected_downtime: Duration,
}

pub(super) fn millis<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

fn days<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u32::deserialize(from).map(|days| Duration::from_hours(24 * u64::from(days)))
}

/// A text setting that is none where it is empty.
pub(super) fn unless_empty<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}
