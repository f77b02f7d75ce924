//! Which settings there are and which values each can have. Its default stands in
//! config/tercet.toml.

use std::net::SocketAddr;

use http::HeaderValue;
use tercet_wire::{CallRule, SignedHost, SigningKey};
use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use crate::access::{Role, TokenDigest, is_token_name};
use crate::config::kind::{Field, Kind, Text};
use crate::http::{is_host, is_origin};
use crate::secret::{DatabaseUrl, Secret, SecretUrl};

const HOUR_MS: i64 = 3_600_000;
const MIB: i64 = 1_048_576;

/// Settings and their defaults.
#[derive(Debug)]
pub struct Schema {
    /// A settings file that gives each of them.
    pub defaults: &'static str,
    /// Each by its name in full, such as `server.listen`, and what it can be.
    pub settings: &'static [(&'static str, Kind)],
}

impl Schema {
    pub(super) fn kind(&self, name: &str) -> Option<&'static Kind> {
        self.settings.iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }

    /// Whether there are settings with this before their names.
    pub(super) fn has_section(&self, section: &str) -> bool {
        self.sections().any(|known| {
            known.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// Says what there is where something was given that is no setting.
    pub(super) fn hint(&self, name: &str) -> String {
        let section = section_of(name);
        let mut siblings: Vec<&str> = self
            .settings
            .iter()
            .filter_map(|(known, _)| known.rsplit_once('.'))
            .filter_map(|(of, key)| (of == section).then_some(key))
            .collect();
        if siblings.is_empty() {
            let mut sections: Vec<&str> = self.sections().collect();
            sections.sort_unstable();
            sections.dedup();
            return format!("the sections are {}", sections.join(", "));
        }
        siblings.sort_unstable();
        format!("[{section}] has {}", siblings.join(", "))
    }

    fn sections(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.settings.iter().map(|(name, _)| section_of(name))
    }
}

fn section_of(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(section, _)| section)
}

const DATABASE_URL: Text = Text::masked::<DatabaseUrl>("a URL such as sqlite://tercet.db");
const WEBHOOK_URL: Text = Text::masked_or_empty::<SecretUrl>("empty, or an http or https URL");
const TRACES_URL: Text = Text::masked_or_empty::<SecretUrl>("empty, or an http or https URL");
const WEBHOOK_SECRET: Text = Text::masked_or_empty::<Secret<SigningKey>>(
    "empty, or whsec_ and then 24 to 64 random bytes in base64",
);

const TOKENS: Kind = Kind::List { of: &TOKEN, most: 1_000 };
const TOKEN: Kind = Kind::Table(&[
    required("name", TOKEN_NAME),
    required(
        "sha256",
        Kind::Text(Text::masked::<TokenDigest>("the 64 hexadecimal digits of a token's SHA-256")),
    ),
    required("role", ROLE),
]);
const TOKEN_NAME: Kind = Kind::Text(Text::shown(
    "1 to 64 letters, digits and . _ : @ + / -, and no address",
    is_token_name,
));
const ROLE: Kind = Kind::Text(Text::shown("viewer, client or operator", is_role));

const CLIENT_NAMES: Kind = Kind::Map { of: &NAMED_CLIENT, most: 1_000 };
const NAMED_CLIENT: Kind = Kind::Table(&[required("name", TOKEN_NAME), required("role", ROLE)]);

const FILE_OR_EMPTY: Kind = Kind::Text(Text::shown("empty, or a file's path", |_| true));

const CALL_RULES: Kind = Kind::List { of: &CALL_RULE, most: 1_000 };
const CALL_RULE: Kind = Kind::Text(Text::shown(CallRule::MUST_BE, is_call_rule));

const SIGNING: Kind = Kind::List { of: &SIGNED_HOST, most: 1_000 };
const SIGNED_HOST: Kind = Kind::Table(&[
    required("host", Kind::Text(Text::shown(SignedHost::MUST_BE, is_signed_host))),
    required("secrets", Kind::List { of: &SIGNING_SECRET, most: 8 }),
]);
const SIGNING_SECRET: Kind = Kind::Text(Text::masked::<Secret<SigningKey>>(SigningKey::MUST_BE));

const TRACE_HEADERS: Kind = Kind::Map { of: &TRACE_HEADER, most: 16 };
const TRACE_HEADER: Kind =
    Kind::Text(Text::masked::<Secret<HeaderValue>>("a header's value, of visible ASCII"));

const ANY_TEXT: Kind = Kind::Text(Text::shown("a text", |_| true));
const CLAIM: Kind = Kind::Text(Text::shown("a claim's name", |text| !text.is_empty()));

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

/// Of a file that has tokens alone.
pub(super) const TOKENS_FILE: Schema =
    Schema { defaults: "[auth]\ntokens = []\n", settings: &[("auth.tokens", TOKENS)] };

/// Tercet's.
pub(crate) const TERCET: Schema =
    Schema { defaults: include_str!("../../../../config/tercet.toml"), settings: SETTINGS };

const SETTINGS: &[(&str, Kind)] = &[
    (
        "server.listen",
        Kind::Text(Text::shown("an address and port, such as 127.0.0.1:7200", is_address)),
    ),
    (
        "server.admin_listen",
        Kind::Text(Text::shown("empty, or an address and port", is_address_or_empty)),
    ),
    (
        "server.allowed_origins",
        Kind::List {
            of: &Kind::Text(Text::shown("an origin, such as https://tercet.example", is_origin)),
            most: 100,
        },
    ),
    (
        "server.allowed_hosts",
        Kind::List {
            of: &Kind::Text(Text::shown("a host, or a host and port", is_host)),
            most: 100,
        },
    ),
    ("server.threads", Kind::Number(0, 64)),
    ("server.max_connections", Kind::Number(1, 1_000_000)),
    ("server.header_read_timeout_ms", Kind::Number(100, HOUR_MS)),
    ("server.body_read_timeout_ms", Kind::Number(100, HOUR_MS)),
    ("server.write_timeout_ms", Kind::Number(100, HOUR_MS)),
    ("server.max_request_bytes", Kind::Number(1_024, 64 * MIB)),
    ("server.receiving_bytes", Kind::Number(MIB, 1_048_576 * MIB)),
    ("server.tls.cert_file", FILE_OR_EMPTY),
    ("server.tls.key_file", FILE_OR_EMPTY),
    ("server.tls.client_ca_file", FILE_OR_EMPTY),
    ("server.tls.client_names", CLIENT_NAMES),
    ("auth.tokens", TOKENS),
    ("auth.tokens_file", FILE_OR_EMPTY),
    ("auth.allow_anonymous", Kind::Boolean),
    ("auth.open_metrics", Kind::Boolean),
    ("auth.jwt.issuer", ANY_TEXT),
    ("auth.jwt.audience", ANY_TEXT),
    ("auth.jwt.jwks_file", FILE_OR_EMPTY),
    (
        "auth.jwt.jwks_url",
        Kind::Text(Text::shown(
            "empty, or an https URL (http on the loopback interface alone)",
            is_url_to_trust_or_empty,
        )),
    ),
    ("auth.jwt.role_claim", CLAIM),
    ("auth.jwt.name_claim", CLAIM),
    ("database.url", Kind::Text(DATABASE_URL)),
    ("database.read_connections", Kind::Number(1, 1_000)),
    ("database.can_go_back", Kind::Boolean),
    ("journal.batch_records", Kind::Number(1, 1_024)),
    ("journal.batch_bytes", Kind::Number(4_096, 64 * MIB)),
    ("journal.queue_records", Kind::Number(1, 10_000_000)),
    ("journal.queue_bytes", Kind::Number(4_096, 16_384 * MIB)),
    ("journal.request_timeout_ms", Kind::Number(10, HOUR_MS)),
    ("limits.branches", Kind::Number(1, 1_024)),
    ("limits.url_bytes", Kind::Number(16, 65_536)),
    ("limits.headers", Kind::Number(0, 256)),
    ("limits.header_bytes", Kind::Number(16, 65_536)),
    ("limits.metadata_bytes", Kind::Number(2, MIB)),
    ("limits.payload_bytes", Kind::Number(2, 64 * MIB)),
    ("limits.live_transactions", Kind::Number(1, 10_000_000)),
    ("limits.live_bytes", Kind::Number(MIB, 1_048_576 * MIB)),
    ("limits.in_memory_waiting_transactions", Kind::Number(0, 10_000_000)),
    ("limits.in_memory_waiting_bytes", Kind::Number(0, 1_048_576 * MIB)),
    ("limits.paged_out_transactions", Kind::Number(0, 1_000_000_000)),
    ("limits.waiters_per_transaction", Kind::Number(1, 1_000_000)),
    ("limits.begin_queue", Kind::Number(1, 1_000_000)),
    ("limits.request_queue", Kind::Number(1, 1_000_000)),
    ("retry.initial_backoff_ms", Kind::Number(1, HOUR_MS)),
    ("retry.max_backoff_ms", Kind::Number(1, 24 * HOUR_MS)),
    ("retry.try_attempts", Kind::Number(1, 1_000)),
    ("retry.park_after_permanent_errors", Kind::Number(1, 1_000_000)),
    ("retry.park_after_ms", Kind::Number(1, 24 * HOUR_MS)),
    ("retry.ack_flush_after_ms", Kind::Number(0, HOUR_MS)),
    ("dispatcher.destination_path_segments", Kind::Number(0, 16)),
    ("dispatcher.per_destination_concurrency", Kind::Number(1, 100_000)),
    ("dispatcher.per_destination_queue", Kind::Number(0, 1_000_000)),
    ("dispatcher.per_destination_queue_bytes", Kind::Number(0, 1_024 * MIB)),
    // One alone would let a single poisoned payload stop all others.
    ("dispatcher.breaker_threshold", Kind::Number(2, 1_000)),
    ("dispatcher.probe_interval_ms", Kind::Number(10, HOUR_MS)),
    ("dispatcher.probe_timeout_ms", Kind::Number(10, HOUR_MS)),
    ("dispatcher.call_timeout_ms", Kind::Number(10, 600_000)),
    ("dispatcher.connect_timeout_ms", Kind::Number(10, HOUR_MS)),
    ("dispatcher.first_byte_timeout_ms", Kind::Number(0, HOUR_MS)),
    ("dispatcher.pool_idle_timeout_ms", Kind::Number(0, HOUR_MS)),
    ("participants.allow", CALL_RULES),
    ("participants.deny", CALL_RULES),
    ("participants.deny_defaults", Kind::Boolean),
    ("participants.signing", SIGNING),
    ("dispatcher.tls.ca_file", FILE_OR_EMPTY),
    ("dispatcher.tls.cert_file", FILE_OR_EMPTY),
    ("dispatcher.tls.key_file", FILE_OR_EMPTY),
    ("alerts.webhook_url", Kind::Text(WEBHOOK_URL)),
    ("alerts.webhook_secret", Kind::Text(WEBHOOK_SECRET)),
    ("alerts.group_wait_ms", Kind::Number(0, HOUR_MS)),
    ("alerts.unreachable_after_ms", Kind::Number(0, HOUR_MS)),
    ("alerts.queue_capacity", Kind::Number(1, 100_000)),
    ("alerts.timeout_ms", Kind::Number(10, HOUR_MS)),
    ("alerts.max_age_ms", Kind::Number(1_000, 7 * 24 * HOUR_MS)),
    ("traces.endpoint", Kind::Text(TRACES_URL)),
    ("traces.headers", TRACE_HEADERS),
    ("traces.sample_ratio", Kind::Share),
    ("traces.queue_spans", Kind::Number(1, 1_000_000)),
    ("traces.timeout_ms", Kind::Number(10, HOUR_MS)),
    ("history.lines_per_transaction", Kind::Number(0, 10_000)),
    ("jobs.per_second", Kind::Number(1, 10_000)),
    ("retention.branches_days", Kind::Number(0, 36_500)),
    ("retention.transactions_days", Kind::Number(0, 36_500)),
    ("retention.audit_days", Kind::Number(0, 36_500)),
    ("retention.jobs_days", Kind::Number(0, 36_500)),
    ("retention.max_finished", Kind::Number(0, 1_000_000_000)),
    ("retention.interval_ms", Kind::Number(10, 24 * HOUR_MS)),
    ("log.format", Kind::Text(Text::shown("text or json", is_log_format))),
    (
        "log.filter",
        Kind::Text(Text::shown(
            "a list of levels, such as info,tercet_coordinator=debug",
            is_log_filter,
        )),
    ),
    ("shutdown.drain_ms", Kind::Number(0, HOUR_MS)),
    ("shutdown.grace_ms", Kind::Number(0, HOUR_MS)),
    (
        "cluster.advertise_url",
        Kind::Text(Text::shown(
            "empty, or an http or https URL of a host and port alone, such as http://10.0.0.7:7200",
            is_base_url_or_empty,
        )),
    ),
    // A look adds no more than a second to anybody's silence, so rarer ones would stretch the lease.
    ("cluster.heartbeat_ms", Kind::Number(50, 1_000)),
    ("cluster.lease_ms", Kind::Number(200, 600_000)),
    ("cluster.ca_file", FILE_OR_EMPTY),
    ("cluster.cert_file", FILE_OR_EMPTY),
    ("cluster.key_file", FILE_OR_EMPTY),
    ("node.id", Kind::Text(Text::shown("at most 128 letters, digits and . _ : -", is_node_id))),
    ("node.max_expected_downtime_ms", Kind::Number(0, 365 * 24 * HOUR_MS)),
    ("console.enabled", Kind::Boolean),
];

fn is_role(text: &str) -> bool {
    text.parse::<Role>().is_ok()
}

fn is_call_rule(text: &str) -> bool {
    text.parse::<CallRule>().is_ok()
}

fn is_signed_host(text: &str) -> bool {
    text.parse::<SignedHost>().is_ok()
}

fn is_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
}

fn is_address_or_empty(text: &str) -> bool {
    text.is_empty() || is_address(text)
}

/// Whoever can change what comes from there lets in whom they like.
fn is_url_to_trust_or_empty(text: &str) -> bool {
    let is_to_trust = |url: Url| match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    };
    text.is_empty() || text.parse().is_ok_and(is_to_trust)
}

/// Where others reach a node: they add the paths.
fn is_base_url_or_empty(text: &str) -> bool {
    let is_base = |url: Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    text.is_empty() || text.parse().is_ok_and(is_base)
}

fn is_log_format(text: &str) -> bool {
    matches!(text, "text" | "json")
}

fn is_log_filter(text: &str) -> bool {
    EnvFilter::builder().parse(text).is_ok()
}

fn is_node_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-[]".contains(&byte);
    text.len() <= 128 && text.bytes().all(allowed)
}
