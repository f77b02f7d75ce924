//! The demo's participants, those in Rust and the one in Python, before the SDK's test kit.

use std::path::Path;

use serde_json::json;
use tercet_participant::test_kit::TestKit;
use tercet_testing::{daemon, soon};

use crate::process::Process;

/// A participant of the demo, started on its own file.
async fn start(program: &Path, arguments: &[&str], directory: &Path) -> (Process, String) {
    let mut process = Process::start(program, arguments, directory);
    let url = soon("it says where it runs", process.url()).await;
    (process, url)
}

async fn is_green(name: &str, kit: TestKit) {
    let report = kit.run().await.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(report.is_green(), "{name}:\n{report}");
}

async fn of_the_demo(service: &str, more: &[&str]) -> (Process, String, tempfile::TempDir) {
    let directory = tempfile::TempDir::new().expect("a directory");
    let program = daemon().with_file_name("tercet-demo");
    let mut arguments = vec![service, "--listen", "127.0.0.1:0", "--db", "it.db"];
    arguments.extend(more);
    let (process, url) = start(&program, &arguments, directory.path()).await;
    (process, url, directory)
}

#[tokio::test]
async fn inventory_keeps_every_rule() {
    let (_process, url, _directory) = of_the_demo("inventory", &[]).await;
    let payload = json!({"sku": "B2", "quantity": 1});
    let kit = TestKit::new(format!("{url}/inventory"), &payload).expect("a kit");
    let kit = kit.probe_url(format!("{url}/stock"));
    let too_much = json!({"sku": "B2", "quantity": 1_000_000});
    is_green("inventory", kit.refused_payload(&too_much).expect("a payload")).await;
}

#[tokio::test]
async fn payment_keeps_every_rule() {
    let (_process, url, _directory) = of_the_demo("payment", &[]).await;
    let payload = json!({"account": "crowd", "amount": 7});
    let kit = TestKit::new(format!("{url}/payment"), &payload).expect("a kit");
    is_green("payment", kit.probe_url(format!("{url}/accounts"))).await;
}

#[tokio::test]
async fn order_keeps_every_rule() {
    let (_process, url, _directory) = of_the_demo("order", &[]).await;
    let payload =
        json!({"order": "{gid}/{branch}", "account": "alice", "sku": "A1", "quantity": 1});
    let kit = TestKit::new(format!("{url}/order"), &payload).expect("a kit");
    // A void order keeps its row, so that only these two counts come back after a Cancel.
    let kit = kit.probe_url(format!("{url}/orders")).counting("status");
    is_green("order", kit.watching("status=pending").watching("status=placed")).await;
}

#[tokio::test]
async fn ride_keeps_every_rule() {
    // It is an initiator as well, but nobody books here.
    let nobody = "http://127.0.0.1:1";
    let more = ["--coordinator", nobody, "--payment", "http://127.0.0.1:1/payment"];
    let (_process, url, _directory) = of_the_demo("ride", &more).await;
    let kit = TestKit::new(format!("{url}/ride"), &json!({"ride": "harbour"})).expect("a kit");
    is_green("ride", kit.probe_url(format!("{url}/rides")).reserved("held")).await;
}

#[tokio::test]
async fn loyalty_in_python_keeps_every_rule() {
    let python = std::process::Command::new("python3").arg("--version").output();
    assert!(python.is_ok(), "python3 is missing (on Debian: apt-get install python3)");
    let directory = tempfile::TempDir::new().expect("a directory");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/python/loyalty.py");
    let script = script.canonicalize().expect("the participant in Python");
    let arguments = [script.to_str().expect("a path"), "--db", "it.db"];
    let (_process, url) = start(Path::new("python3"), &arguments, directory.path()).await;
    let payload = json!({"account": "alice", "points": 3});
    let kit = TestKit::new(format!("{url}/loyalty"), &payload).expect("a kit");
    is_green("loyalty", kit.probe_url(format!("{url}/points"))).await;
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn a_participant_in_rust_takes_signed_calls_alone() {
    let (_process, url, _directory) = of_the_demo("payment", &["--secret", SECRET]).await;
    let payload = json!({"account": "crowd", "amount": 7});
    let kit = TestKit::new(format!("{url}/payment"), &payload).expect("a kit");
    let kit = kit.secret(SECRET.parse().expect("a secret")).rounds(2);
    is_green("payment", kit.probe_url(format!("{url}/accounts"))).await;
}

#[tokio::test]
async fn a_participant_in_python_takes_signed_calls_alone() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/python/loyalty.py");
    let script = script.canonicalize().expect("the participant in Python");
    let secret = format!("TERCET_DEMO_SECRET={SECRET}");
    let arguments = [&secret, "python3", script.to_str().expect("a path"), "--db", "it.db"];
    let (_process, url) = start(Path::new("env"), &arguments, directory.path()).await;
    let payload = json!({"account": "alice", "points": 3});
    let kit = TestKit::new(format!("{url}/loyalty"), &payload).expect("a kit");
    let kit = kit.secret(SECRET.parse().expect("a secret")).rounds(2);
    is_green("loyalty", kit.probe_url(format!("{url}/points"))).await;
}
