//! One node: the image, deploy/compose.yaml, and the unit of systemd.

use crate::compose::{millis, services};
use crate::read;
use crate::settings::{self, DRAIN_MS};
use crate::yaml::{list, text, texts, words};

/// More than draining and stopping take with the built-in grace.
fn stops_within(time_ms: u64) {
    let needed = DRAIN_MS + 2 * settings::default_grace_ms();
    assert!(time_ms > needed, "{time_ms} ms are not enough to stop: {needed}");
}

/// The lines of a Dockerfile or unit that begin with a word.
fn lines<'a>(file: &'a str, word: &str) -> Vec<&'a str> {
    file.lines().filter_map(|line| line.strip_prefix(word)).collect()
}

#[test]
fn a_service_drains_by_the_settings_it_comes_with() {
    let given = settings::flat("deploy/tercet.toml", &read("deploy/tercet.toml"));
    assert_eq!(settings::faults(&given), [""; 0]);
    let drain = given["shutdown.drain_ms"].as_integer();
    assert_eq!(drain.and_then(|drain| u64::try_from(drain).ok()), Some(DRAIN_MS));
}

#[test]
fn the_image_has_these_settings_and_asks_whether_it_is_ready() {
    let dockerfile = read("deploy/Dockerfile");
    assert_eq!(lines(&dockerfile, "COPY deploy/tercet.toml "), ["/etc/tercet/tercet.toml"]);
    let command: Vec<String> =
        serde_json::from_str(lines(&dockerfile, "CMD ")[0]).expect("a list of words");
    let at = command.iter().position(|word| word == "--config").expect("--config");
    assert_eq!(command[at + 1], "/etc/tercet/tercet.toml");
    assert!(dockerfile.contains("\"http://127.0.0.1:7200/readyz\"]"), "the health check");
    // Variables win over files, and so would those of the image over a ConfigMap.
    assert_eq!(lines(&dockerfile, "ENV TERCET_"), [""; 0]);
    for image in lines(&dockerfile, "FROM ") {
        let tag = image.split(' ').next().and_then(|image| image.split_once(':'));
        assert!(tag.is_some_and(|(_, tag)| tag != "latest"), "{image}");
    }
}

#[test]
fn supervisors_of_one_node_wait_until_it_has_stopped() {
    let compose = services("deploy/compose.yaml");
    let coordinator = &compose["coordinator"];
    stops_within(millis(text(coordinator, "/stop_grace_period")));
    assert_eq!(words(coordinator, "/ports"), ["127.0.0.1:7200:7200"]);
    // The image's own command, with its settings.
    assert_eq!(coordinator.get("command"), None);

    let unit = read("deploy/systemd/tercet.service");
    let stop = lines(&unit, "TimeoutStopSec=")[0];
    stops_within(1_000 * stop.parse::<u64>().expect("seconds"));
    let start = lines(&unit, "ExecStart=/usr/local/bin/tercet serve ");
    assert!(start[0].starts_with("--config /etc/tercet/tercet.toml "), "{start:?}");
    assert_eq!(lines(&unit, "Restart="), ["always"]);
}

#[test]
fn the_compose_file_for_others_has_tls_and_tokens() {
    let compose = services("deploy/compose.tls.yaml");
    let coordinator = &compose["coordinator"];
    stops_within(millis(text(coordinator, "/stop_grace_period")));
    let variables = texts(coordinator, "/environment");
    let names = variables.keys().map(String::as_str);
    assert_eq!(settings::faults_of_variables(names), [""; 0]);
    for name in [
        "TERCET_AUTH__TOKENS_FILE",
        "TERCET_SERVER__TLS__CERT_FILE",
        "TERCET_SERVER__TLS__KEY_FILE",
    ] {
        let file = variables.get(name).map(String::as_str).unwrap_or_default();
        assert!(file.starts_with("/etc/tercet/access/"), "{name}: {file:?}");
    }
    assert!(!variables.contains_key("TERCET_AUTH__ALLOW_ANONYMOUS"));
    // The directory, since a file that is mounted stays the one that was there.
    let mounted = words(coordinator, "/volumes");
    assert!(mounted.iter().any(|one| one.ends_with(":/etc/tercet/access:ro")), "{mounted:?}");
    let probed = variables.get("TERCET_SERVER__ADMIN_LISTEN").expect("an address of its own");
    assert!(probed.starts_with("127.0.0.1:"), "{probed}");
    let asked = list(coordinator, "/healthcheck/test").last().cloned().unwrap_or_default();
    assert_eq!(asked, format!("http://{probed}/readyz"));
    assert_eq!(words(coordinator, "/ports"), ["7200:7200"]);
}

#[test]
fn the_unit_hands_on_every_file_that_it_names() {
    let unit = read("deploy/systemd/tercet.service");
    let handed_on: Vec<&str> = lines(&unit, "LoadCredential=")
        .into_iter()
        .filter_map(|line| line.split_once(':').map(|(name, _)| name))
        .collect();
    let variables = lines(&unit, "Environment=");
    let named: Vec<(&str, &str)> =
        variables.iter().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(settings::faults_of_variables(named.iter().map(|(name, _)| *name)), [""; 0]);
    let files: Vec<&str> =
        named.iter().filter_map(|(_, value)| value.strip_prefix("%d/")).collect();
    assert_eq!(files, handed_on);
    for name in [
        "TERCET_AUTH__TOKENS_FILE",
        "TERCET_SERVER__TLS__CERT_FILE",
        "TERCET_SERVER__TLS__KEY_FILE",
    ] {
        assert!(named.iter().any(|(known, _)| *known == name), "{name}");
    }
}
