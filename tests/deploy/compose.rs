//! deploy/compose.cluster.yaml: nodes, database and balancer fit together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::read;
use crate::settings::{self, DRAIN_MS};
use crate::yaml::{document, list, text, texts, words};

pub(crate) const FILE: &str = "deploy/compose.cluster.yaml";

/// A compose file's services by name, merged as compose does.
pub(crate) fn services(file: &str) -> BTreeMap<String, Value> {
    let all = document(file, &read(file));
    let all = all["services"].as_object().expect("services");
    all.iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

/// A time such as `15s`, in milliseconds.
pub(crate) fn millis(time: &str) -> u64 {
    let seconds = time.strip_suffix('s').unwrap_or_else(|| panic!("{time} is not in seconds"));
    1_000 * seconds.parse::<u64>().expect("a whole number")
}

fn is_node(name: &str) -> bool {
    name.starts_with("coordinator-")
}

/// What is wrong with all of it.
fn faults(services: &BTreeMap<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, service) in services {
        let mut of = |fault: &str| faults.push(format!("{name}: {fault}"));
        let image = text(service, "/image");
        let tag = image.split_once(':').map(|(_, tag)| tag);
        let pinned = tag.is_some_and(|tag| tag.split('.').count() > 1 && !tag.contains("latest"));
        // That one is built here.
        if !(pinned || image == "tercet") {
            of(&format!("{image} may be another one tomorrow"));
        }
        if text(service, "/restart").is_empty() {
            of("it stays down");
        }
        let check = &service["healthcheck"];
        if check["disable"] != json!(true) && list(check, "/test").is_empty() {
            of("nobody knows whether it is well");
        }
        for published in words(service, "/ports") {
            if !published.starts_with("127.0.0.1:") {
                of(&format!("{published} is open to everybody"));
            }
        }
        let variables = texts(service, "/environment");
        for fault in settings::faults_of_variables(variables.keys().map(String::as_str)) {
            of(&fault);
        }
        if is_node(name) {
            node(name, service, &mut of);
        }
    }
    let own = |key: &str| {
        let nodes = services.iter().filter(|(name, _)| is_node(name));
        nodes.map(|(_, node)| texts(node, "/environment")[key].clone()).collect::<BTreeSet<_>>()
    };
    let nodes = services.keys().filter(|name| is_node(name)).count();
    for key in ["TERCET_NODE__ID", "TERCET_CLUSTER__ADVERTISE_URL"] {
        if own(key).len() != nodes {
            faults.push(format!("two nodes have one {key}"));
        }
    }
    if own("TERCET_DATABASE__URL").len() != 1 {
        faults.push("the nodes have several databases".to_owned());
    }
    faults
}

fn node(name: &str, service: &Value, of: &mut impl FnMut(&str)) {
    let variables = texts(service, "/environment");
    let variable = |name: &str| variables.get(name).map(String::as_str).unwrap_or_default();
    let port = variable("TERCET_SERVER__LISTEN").strip_prefix("0.0.0.0:").unwrap_or_default();
    if port.is_empty() {
        of("the other nodes do not reach it");
    }
    if !variable("TERCET_AUTH__TOKENS").starts_with("${TERCET_TOKENS:?") {
        of("everybody is let in, or it starts without saying who is");
    }
    if text(service, "/hostname") != name {
        of("it has another name than its service");
    }
    if variable("TERCET_CLUSTER__ADVERTISE_URL") != format!("http://{name}:{port}") {
        of("others are told of another address");
    }
    let drain_ms: u64 = variable("TERCET_SHUTDOWN__DRAIN_MS").parse().unwrap_or_default();
    if drain_ms != DRAIN_MS {
        of(&format!("it drains for {drain_ms} ms"));
    }
    if millis(text(service, "/stop_grace_period")) < drain_ms + 2 * settings::default_grace_ms() {
        of("it is killed before it has stopped");
    }
    let asked = words(service, "/healthcheck/test");
    if asked.last().map(String::as_str) != Some(&format!("http://127.0.0.1:{port}/readyz")) {
        of(&format!("its health is asked for by {asked:?}"));
    }
    if text(service, "/depends_on/migrate/condition") != "service_completed_successfully" {
        of("it starts before the schema is there");
    }
}

#[test]
fn the_cluster_of_the_compose_file_fits_together() {
    let services = services(FILE);
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    let expected =
        ["coordinator-1", "coordinator-2", "coordinator-3", "migrate", "nginx", "postgres"];
    assert_eq!(names, expected);
    assert_eq!(faults(&services), [""; 0]);

    let migrate = &services["migrate"];
    assert_eq!(words(migrate, "/command"), ["tercet", "migrate", "up"]);
    let of_one = texts(&services["coordinator-1"], "/environment");
    let url = &texts(migrate, "/environment")["TERCET_DATABASE__URL"];
    assert_eq!(url, &of_one["TERCET_DATABASE__URL"], "the database that is migrated");
    let user = texts(&services["postgres"], "/environment");
    let expected = format!("postgres://{}:", user["POSTGRES_USER"]);
    assert!(url.starts_with(&expected), "{url}");
    assert!(url.ends_with(&format!("@postgres:5432/{}", user["POSTGRES_DB"])), "{url}");
    assert!(url.contains("${POSTGRES_PASSWORD:?"), "no password has a default");
    assert_eq!(text(migrate, "/depends_on/postgres/condition"), "service_healthy");
}

#[test]
fn the_database_keeps_what_it_has_acknowledged() {
    let postgres = &services(FILE)["postgres"];
    let command = words(postgres, "/command");
    for setting in ["-cfsync=on", "-cfull_page_writes=on", "-csynchronous_commit=on"] {
        assert!(command.iter().any(|word| word == setting), "{setting}: {command:?}");
    }
    assert_eq!(words(postgres, "/volumes"), ["postgres:/var/lib/postgresql/data"]);
    let all = document(FILE, &read(FILE));
    assert!(all["volumes"].get("postgres").is_some(), "the volume outlives its container");
    // The server that the image runs to make the database listens on its socket alone.
    let asked = words(postgres, "/healthcheck/test");
    assert!(asked.iter().any(|word| word == "--host=127.0.0.1"), "{asked:?}");
}

#[test]
fn nginx_knows_the_nodes_by_addresses_that_stay() {
    let services = services(FILE);
    let address = |node: &Value| text(node, "/networks/coordinators/ipv4_address").to_owned();
    let nodes = services.iter().filter(|(name, _)| is_node(name));
    let nodes: Vec<String> =
        nodes.map(|(name, node)| format!("{name}:{}", address(node))).collect();
    assert_eq!(words(&services["nginx"], "/extra_hosts"), nodes);
    let all = document(FILE, &read(FILE));
    let subnet = text(&all, "/networks/coordinators/ipam/config/0/subnet");
    let within = subnet.strip_suffix("0/24").expect("a network of 256");
    assert!(nodes.iter().all(|node| node.contains(&format!(":{within}"))), "{nodes:?} {subnet}");
}

#[test]
fn every_bug_that_is_put_into_the_compose_file_is_found() {
    for (service, pointer, value, said) in [
        ("coordinator-2", "/environment/TERCET_SHUTDOWN__DRAIN_MS", "0", "drains for 0 ms"),
        ("coordinator-2", "/environment/TERCET_NODE__ID", "coordinator-1", "TERCET_NODE__ID"),
        (
            "coordinator-3",
            "/environment/TERCET_CLUSTER__ADVERTISE_URL",
            "http://nginx",
            "another address",
        ),
        (
            "coordinator-1",
            "/environment/TERCET_DATABASE__URL",
            "postgres://other",
            "several databases",
        ),
        (
            "coordinator-1",
            "/environment/TERCET_SERVER__LISTEN",
            "127.0.0.1:7200",
            "do not reach it",
        ),
        ("coordinator-1", "/environment/TERCET_AUTH__TOKENS", "[]", "everybody is let in"),
        ("coordinator-1", "/stop_grace_period", "12s", "killed before"),
        ("coordinator-1", "/healthcheck/test/4", "http://127.0.0.1:7200/livez", "asked for by"),
        ("coordinator-1", "/depends_on/migrate/condition", "service_started", "before the schema"),
        ("coordinator-1", "/hostname", "coordinator", "another name"),
        ("postgres", "/image", "postgres:15", "another one tomorrow"),
        ("nginx", "/ports/0", "7200:8080", "open to everybody"),
        ("nginx", "/restart", "", "stays down"),
    ] {
        let mut services = services(FILE);
        let broken = services.get_mut(service).expect(service);
        *broken.pointer_mut(pointer).unwrap_or_else(|| panic!("{service}{pointer}")) = json!(value);
        let found = faults(&services);
        let named = found.iter().any(|fault| fault.contains(said));
        assert!(named, "{service}{pointer}: {said:?} is not in {found:#?}");
    }
}
