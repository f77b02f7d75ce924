//! A setting that is read, checked and shown, and reaches nobody, is worse than none: one by one
//! each is changed, and some part must work with something else for it.

use tercet_engine::{DriverSettings, EngineSettings, history_bound};
use tercet_journal::JournalSettings;
use tercet_wire::{Incarnation, Limits};

use super::parts::{
    cluster_settings, dispatcher_settings, driver_settings, engine_settings, journal_settings,
    outbound_settings,
};
use crate::cluster::ClusterSettings;
use crate::config::{Flags, Kind, Layers, Settings, TERCET};
use crate::dispatcher::DispatcherSettings;
use crate::http::Admits;
use crate::open_files::Shares;
use crate::outbound::OutboundSettings;
use crate::serve::{request_limits, server_settings};
use crate::tls::TlsFiles;

/// What the limit of open files leaves, which is no setting.
const SHARES: Shares = Shares { connections: 1, sockets: 1, look_ups: 1, forwards: 1 };

/// What is changed to a text, since nobody can make one up for it.
const TEXTS: [(&str, &str); 40] = [
    ("traces.endpoint", "http://127.0.0.1:9/other"),
    ("traces.headers", r#"{"x-key":"k3y"}"#),
    ("traces.sample_ratio", "0.5"),
    ("server.listen", "127.0.0.1:7201"),
    ("server.admin_listen", "127.0.0.1:7202"),
    ("database.url", "sqlite://other.db"),
    ("alerts.webhook_url", "http://127.0.0.1:9/other"),
    ("alerts.webhook_secret", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
    ("participants.allow", r#"["*.internal"]"#),
    ("participants.deny", r#"["10.0.0.0/8"]"#),
    ("participants.deny_defaults", "false"),
    ("participants.signing", ONE_SECRET),
    ("log.format", "json"),
    ("log.filter", "debug"),
    ("node.id", "another"),
    ("cluster.advertise_url", "http://node-1:7200"),
    ("server.allowed_origins", r#"["https://tercet.example"]"#),
    ("server.allowed_hosts", r#"["tercet.example"]"#),
    ("server.tls.cert_file", "other.pem"),
    ("server.tls.key_file", "other.key"),
    ("server.tls.client_ca_file", "other.pem"),
    ("server.tls.client_names", r#"{"orders.internal":{"name":"orders","role":"client"}}"#),
    ("dispatcher.tls.ca_file", "other.pem"),
    ("dispatcher.tls.cert_file", "other.pem"),
    ("dispatcher.tls.key_file", "other.key"),
    ("cluster.ca_file", "other.pem"),
    ("cluster.cert_file", "other.pem"),
    ("cluster.key_file", "other.key"),
    ("auth.jwt.issuer", "https://another.example"),
    ("auth.jwt.audience", "another"),
    ("auth.jwt.jwks_file", "other.json"),
    ("auth.jwt.jwks_url", "https://another.example/keys"),
    ("auth.jwt.role_claim", "another"),
    ("auth.jwt.name_claim", "another"),
    ("auth.tokens", ONE_TOKEN),
    ("auth.tokens_file", "tokens.toml"),
    ("database.can_go_back", "true"),
    ("auth.allow_anonymous", "true"),
    ("auth.open_metrics", "true"),
    ("console.enabled", "false"),
];

const ONE_SECRET: &str = r#"[{"host":"payment:7302",
    "secrets":["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]}]"#;

const ONE_TOKEN: &str = r#"[{"name":"a","role":"client",
    "sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]"#;

/// Sections and settings that are handed on as they are, beside the parts: their effects are seen
/// from outside, by the tests of the whole system.
const ELSEWHERE: [&str; 16] = [
    "server.allowed_",
    "auth.",
    "server.listen",
    "server.admin_listen",
    "server.max_connections",
    "server.threads",
    "log.",
    "limits.begin_queue",
    "limits.request_queue",
    "alerts.webhook_",
    "alerts.unreachable_after_ms",
    "shutdown.drain_ms",
    "jobs.per_second",
    "cluster.advertise_url",
    "server.tls.client_names",
    "console.",
];

/// What the parts work with.
#[derive(Debug, PartialEq)]
struct Parts {
    engine: EngineSettings,
    driver: DriverSettings,
    journal: JournalSettings,
    cluster: ClusterSettings,
    dispatcher: DispatcherSettings,
    outbound: OutboundSettings,
    tls: [Option<TlsFiles>; 3],
    requests: Limits,
    /// As it is shown: a budget is no value to compare.
    server: String,
    /// They hold a secret, so that they cannot be compared; shown without it.
    alerts: String,
    /// Likewise.
    traces: String,
    history_lines: u32,
}

fn settings(changed: &[(&str, &str)]) -> Settings {
    let variable = |name: &str| format!("TERCET_{}", name.to_uppercase().replace('.', "__"));
    // Without a receiver nobody works with the settings of alerts.
    let receiver = ("alerts.webhook_url", "http://127.0.0.1:9/");
    // A lease that a longer heartbeat still fits into.
    // None of an issuer's goes without the others.
    let keys = if changed.iter().any(|(name, _)| *name == "auth.jwt.jwks_url") { "" } else { "a" };
    let all = [
        receiver,
        ("traces.endpoint", "http://127.0.0.1:9/"),
        ("cluster.lease_ms", "60000"),
        ("auth.jwt.issuer", "https://a.example"),
        ("auth.jwt.audience", "tercet"),
        ("auth.jwt.jwks_file", keys),
        // No certificate goes without its key.
        ("server.tls.cert_file", "a.pem"),
        ("server.tls.key_file", "a.key"),
        ("server.tls.client_ca_file", "ca.pem"),
        ("dispatcher.tls.cert_file", "a.pem"),
        ("dispatcher.tls.key_file", "a.key"),
        ("cluster.cert_file", "a.pem"),
        ("cluster.key_file", "a.key"),
    ];
    let all = all.iter().chain(changed);
    let environment = all.map(|(name, value)| (variable(name), (*value).to_owned()));
    let layers = Layers::gather(None, environment, &Flags::new()).expect("each can have this");
    layers.settings().expect("they fit")
}

fn parts(settings: &Settings) -> Parts {
    let alerts = settings.alerts.of_webhook(settings.retry.backoff()).expect("a receiver");
    let listen = settings.server.listen;
    Parts {
        engine: engine_settings(settings, false),
        driver: driver_settings(settings),
        journal: journal_settings(settings, listen, "http://node", Incarnation(1)),
        cluster: cluster_settings(settings, listen),
        dispatcher: dispatcher_settings(settings),
        outbound: outbound_settings(settings, SHARES),
        tls: [
            TlsFiles::of_server(&settings.server.tls),
            Some(TlsFiles::of_calls(&settings.dispatcher.tls)),
            Some(TlsFiles::of_nodes(&settings.cluster)),
        ],
        requests: settings.of_requests(Vec::new()),
        server: format!(
            "{:?} {:?}",
            server_settings(settings, SHARES.connections, Admits::Everybody),
            request_limits(settings)
        ),
        alerts: format!(
            "{:?}",
            (alerts.group_wait, alerts.queue_capacity, alerts.timeout, alerts.max_age)
        ),
        traces: format!("{:?}", settings.traces.settings()),
        history_lines: history_bound(
            settings.history.lines_per_transaction,
            settings.limits.branches,
        ),
    }
}

#[test]
fn every_setting_that_is_changed_reaches_a_part() {
    let built_in = settings(&[]);
    let unchanged = parts(&built_in);
    let mut reached = 0;
    for (name, kind) in TERCET.settings {
        let shown = Layers::gather(None, [], &Flags::new()).expect("the defaults fit").to_string();
        let value = match kind {
            Kind::Number(_, most) => other_number(&shown, name, *most),
            _ => {
                let found = TEXTS.iter().find(|(of, _)| of == name);
                found.unwrap_or_else(|| panic!("a value for {name}")).1.to_owned()
            }
        };
        let changed = settings(&[(name, &value)]);
        assert_ne!(changed, built_in, "{name} = {value} changes nothing");
        if !ELSEWHERE.iter().any(|elsewhere| name.starts_with(elsewhere)) {
            assert_ne!(parts(&changed), unchanged, "{name} = {value} reaches nobody");
            reached += 1;
        }
    }
    assert!(reached > 40, "only {reached} were tried");
}

/// Another number than the default, which stands where it is shown.
fn other_number(shown: &str, name: &str, most: i64) -> String {
    let (section, key) = name.rsplit_once('.').expect("a section");
    let section = shown.split_once(&format!("[{section}]\n")).expect(name).1;
    let line = section.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
    let number = line.and_then(|rest| rest.split_whitespace().next()).expect(name);
    let number: i64 = number.parse().expect(name);
    (if number < most { number + 1 } else { number - 1 }).to_string()
}
