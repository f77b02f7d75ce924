//! deploy/nginx.conf, as a text: what it must say of nodes, times and sizes.

use crate::compose::{self, millis, services};
use crate::read;
use crate::settings;

/// How long a request may wait at most (`wait_ms`).
const LONGEST_WAIT_MS: u64 = 60_000;

/// The values of a directive, each time it is there.
pub(crate) fn directive<'a>(config: &'a str, name: &str) -> Vec<&'a str> {
    let lines = config.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.map(|value| value.split(';').next().unwrap_or_default().trim()).collect()
}

fn default(setting: &str) -> u64 {
    let value = settings::defaults()[setting].as_integer().expect("a number");
    u64::try_from(value).expect("not below zero")
}

#[test]
fn nginx_asks_every_node_first_and_again_when_all_have_failed() {
    let config = read("deploy/nginx.conf");
    let servers = directive(&config, "server");
    let nodes: Vec<String> = services(compose::FILE)
        .into_keys()
        .filter(|name| name.starts_with("coordinator-"))
        .collect();
    let of = |backup: bool| {
        let all = servers.iter().filter(|one| one.contains(':'));
        let these = all.filter(|one| one.contains(" backup") == backup);
        these.map(|one| one.split(':').next().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(of(false), nodes);
    assert_eq!(of(true), nodes);
    let last = servers.iter().filter(|one| one.contains(" backup"));
    for server in last {
        assert!(server.contains("max_fails=0"), "{server}: who is asked last is never left out");
    }
    let tries: usize =
        directive(&config, "proxy_next_upstream_tries")[0].parse().expect("a number");
    assert_eq!(tries, nodes.len());
}

#[test]
fn nginx_waits_longer_than_any_request_may() {
    let config = read("deploy/nginx.conf");
    let time = |name: &str| {
        let all = directive(&config, name);
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        millis(all[0])
    };
    let longest = LONGEST_WAIT_MS + default("journal.request_timeout_ms");
    assert!(time("proxy_read_timeout") > longest, "{longest}");
    let again = time("proxy_next_upstream_timeout");
    assert!(again > longest && again < time("proxy_read_timeout"), "{again}");
    let kept = directive(&config, "keepalive_timeout");
    assert!(
        kept.len() == 2 && millis(kept[0]) < default("server.header_read_timeout_ms"),
        "{kept:?}"
    );
    let body = directive(&config, "client_max_body_size")[0].strip_suffix('m').expect("MiB");
    let body = body.parse::<u64>().expect("a number") << 20;
    assert!(body > default("server.max_request_bytes"), "a node says 413 itself");
    let nginx = &services(compose::FILE)["nginx"];
    assert!(millis(crate::yaml::text(nginx, "/stop_grace_period")) > time("proxy_read_timeout"));
}
