//! What Prometheus is shown: every metric that docs/operating.md explains, with its labels, and what the
//! process lives on. Boards and rules are held to the same table (tests/rules).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use http::Method;
use serde_json::json;
use tercet_testing::{Authority, Client, Participant, Reaction, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, branch};
use crate::expected::transaction;
use crate::ran::directory;
use crate::saga_definitions::{definition, put, run};

/// What one node with neither tokens nor others nor a collector has nothing to say of.
const UNSHOWN: [&str; 4] = [
    "tercet_logins_failed_total",
    "tercet_forwarded_total",
    "tercet_take_over_seconds",
    "tercet_spans_total",
];

/// The metrics of docs/operating.md with their labels.
fn explained() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let text = std::fs::read_to_string(path).expect("a document");
    let (_, table) = text.split_once("| metric | meaning |\n").expect("the metrics");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let names = rows
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
    let labelled = |name: String| {
        let (name, labels) = name.split_once('{').unwrap_or((&name, ""));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        (name.to_owned(), labels.map(str::to_owned).collect())
    };
    names.map(labelled).collect()
}

/// The series of a `/metrics`, by the metric that its TYPE names, with their labels.
fn shown(text: &str) -> BTreeMap<String, Vec<BTreeSet<String>>> {
    let mut shown: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    let mut metric = String::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            typed.split(' ').next().expect("a name").clone_into(&mut metric);
        } else if !line.starts_with('#') && !line.is_empty() {
            // A route has such brackets in it, too.
            let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels);
            // No value that the test makes has a comma or an equals sign in it.
            let names = labels.split(',').filter_map(|label| label.split('=').next());
            let names = names.filter(|name| !name.is_empty() && *name != "le").map(str::to_owned);
            shown.entry(metric.clone()).or_default().push(names.collect());
        }
    }
    shown
}

async fn metrics(client: &Client) -> String {
    client.send(Method::GET, "/metrics", None).await.text
}

/// The value of the one line that begins so.
fn value(text: &str, series: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{series} in {text}")).parse().expect("a number")
}

#[tokio::test]
async fn each_metric_is_shown_with_the_labels_that_are_explained() {
    let (authority, files) = (Authority::new(), directory());
    let (cert, key) = authority.issue_for_loopback().write(files.path(), "port");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let tercet = Tercet::start_with(&[
        ("SERVER__TLS__CERT_FILE", &text(&cert)),
        ("SERVER__TLS__KEY_FILE", &text(&key)),
        ("ALERTS__WEBHOOK_URL", "http://127.0.0.1:9/"),
    ])
    .await;
    let participant = Participant::start().await;
    let client = Client::by_tls(tercet.address(), &authority, None);
    participant.always("stuck", Op::Confirm, Reaction::status(404));
    participant.next("refuses", Op::Try, [Reaction::status(409)]);
    client.begin("", &begin("a", &[branch(&participant, "stock")])).await;
    client.begin("", &begin("b", &[branch(&participant, "refuses")])).await;
    put(&client, "trip", &definition(&participant, &["flight"])).await;
    let ran = run(&client, "trip", "", &json!({ "gid": "c" }).to_string()).await;
    transaction(&ran, 201, "confirmed");
    client.begin("?wait=decided", &begin("d", &[branch(&participant, "stuck")])).await;
    let paused = client.send(Method::POST, "/v1/participants/mail:80/pause", Some("{}")).await;
    assert_eq!(paused.status, 200, "{}", paused.text);
    let (explained, mut wrong) = (explained(), Vec::new());
    let seen = eventually("what it lives on was looked at", async || {
        let text = metrics(&client).await;
        text.contains("tercet_database_size_bytes ").then_some(text)
    })
    .await;
    let shown = shown(&seen);
    for (metric, series) in &shown {
        match explained.get(metric) {
            None => wrong.push(format!("{metric} is not explained")),
            Some(labels) => {
                let others = series.iter().filter(|found| *found != labels);
                wrong.extend(others.map(|found| format!("{metric}: {found:?}, not {labels:?}")));
            }
        }
    }
    let is_of_relays = |name: &str| name.starts_with("tercet_outbox_");
    let unseen = explained.keys().filter(|name| !shown.contains_key(*name) && !is_of_relays(name));
    wrong.extend(unseen.filter(|it| !UNSHOWN.contains(&it.as_str())).cloned());
    assert_eq!(wrong, [""; 0], "{seen}");
}

#[tokio::test]
async fn what_a_node_lives_on_is_shown() {
    let (authority, files) = (Authority::new(), directory());
    let (cert, key) = authority.issue_for_loopback().write(files.path(), "port");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let tercet = Tercet::start_with(&[
        ("SERVER__TLS__CERT_FILE", &text(&cert)),
        ("SERVER__TLS__KEY_FILE", &text(&key)),
    ])
    .await;
    let client = Client::by_tls(tercet.address(), &authority, None);
    let seen = eventually("what it lives on was looked at", async || {
        let text = metrics(&client).await;
        // The first look comes before there is a database.
        (value(&text, "tercet_database_size_bytes") > 4_096.0).then_some(text)
    })
    .await;
    let value = |series: &str| value(&seen, series);
    let (free, size) =
        (value("tercet_database_disk_free_bytes"), value("tercet_database_disk_size_bytes"));
    assert!(0.0 < free && free < size, "{free} of {size}");
    // The first second of the year 4096: what these tests' certificates have.
    let end = value("tercet_certificate_end_timestamp_seconds{of=\"server\"}");
    assert!((end - 67_090_118_400.0).abs() < 0.5, "{end}");
    assert!(value("tercet_ready") > 0.5);
    assert!(value("tercet_http_connections{port=\"main\"}") > 0.5);
    assert!(value("tercet_processors") > 0.5);
    let (open, most) = (value("process_open_fds"), value("process_max_fds"));
    assert!(4.0 < open && open < most, "{open} of {most}");
    assert!(value("process_resident_memory_bytes") > 1_000_000.0);
    assert!(value("process_start_time_seconds") > 1_700_000_000.0);
    assert!(value("process_cpu_seconds_total") >= 0.0);
}

#[tokio::test]
async fn a_node_that_takes_no_work_is_shown_as_not_ready() {
    let tercet = Tercet::start_with(&[("SHUTDOWN__DRAIN_MS", "600000")]).await;
    let client = tercet.client();
    assert!(value(&metrics(&client).await, "tercet_ready") > 0.5);
    tercet.signal("TERM").await;
    let is_not = async || (value(&metrics(&client).await, "tercet_ready") < 0.5).then_some(());
    eventually("it drains", is_not).await;
}
