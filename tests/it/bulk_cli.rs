//! `tercet tx bulk` and `tercet jobs`: what they print, and the exit codes that scripts go by.

use http::Method;
use serde_json::{Value, json};
use tercet_testing::{Participant, Tercet, eventually};
use tercet_wire::Op;

use crate::bodies::{begin, begin_open, branch};
use crate::operator::{in_a_minute, waits};
use crate::ran::{Ran, directory, run};

async fn tercet_with(tercet: &Tercet, arguments: &[&str]) -> Ran {
    let directory = directory();
    let url = format!("http://{}", tercet.address());
    run(directory.path(), arguments, &[("TERCET_URL", &url)]).await
}

async fn jobs(tercet: &Tercet) -> Vec<Value> {
    let page = tercet.client().send(Method::GET, "/v1/jobs", None).await;
    page.json["items"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_bulk_shows_what_it_finds_and_does_it_when_told_yes() {
    let tercet = Tercet::start().await;
    for number in 0..7 {
        tercet.client().begin("", &begin_open(&format!("tx-{number}"), &[])).await;
    }
    let bulk = ["tx", "bulk", "cancel", "--gid-prefix", "tx-", "--note", "a flood"];
    let dry = tercet_with(&tercet, &[&bulk[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    assert!(dry.stdout.contains("7 unfinished transactions match"), "{}", dry.stdout);
    assert_eq!(dry.stdout.matches("tx-").count(), 5, "{}", dry.stdout);
    // Nobody is there to be asked.
    let unasked = tercet_with(&tercet, &bulk).await;
    assert_eq!(unasked.code, Some(2), "{}", unasked.stdout);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    assert_eq!(jobs(&tercet).await, Vec::<Value>::new());
    let done = tercet_with(&tercet, &[&bulk[..], &["--yes"]].concat()).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("done: 7 of 7 done"), "{}", done.stdout);
    assert!(!done.stderr.contains('\r'), "no bar where nobody sees one: {:?}", done.stderr);
    let found = jobs(&tercet).await;
    let id = found[0]["id"].as_str().expect("an id");
    let listed = tercet_with(&tercet, &["jobs", "list"]).await;
    assert!(listed.stdout.contains(id) && listed.stdout.contains("cancel"), "{}", listed.stdout);
    let shown = tercet_with(&tercet, &["jobs", "show", id]).await;
    assert!(shown.stdout.contains("a flood"), "{}", shown.stdout);
    assert_eq!(tercet_with(&tercet, &["jobs", "stop", id]).await.code, Some(0));
    let unknown = tercet_with(&tercet, &["jobs", "show", "none"]).await;
    assert_eq!(unknown.code, Some(3), "{}", unknown.stderr);
    let none = tercet_with(&tercet, &bulk).await;
    assert!(none.code == Some(0) && none.stdout.contains("no unfinished"), "{}", none.stdout);
}

#[tokio::test]
async fn a_bulk_that_fails_in_part_says_where_and_exits_1() {
    let (tercet, participant) = (Tercet::start().await, Participant::start().await);
    let client = tercet.client();
    participant.always("slow", Op::Confirm, in_a_minute());
    client.begin("?wait=decided", &begin("tx-late", &[branch(&participant, "slow")])).await;
    waits(&client, "tx-late").await;
    client.begin("", &begin_open("tx-0", &[])).await;
    let bulk = ["tx", "bulk", "cancel", "--gid-prefix", "tx-", "--yes"];
    let dry = tercet_with(&tercet, &[&bulk[..], &["--dry-run"]].concat()).await;
    assert!(dry.stdout.contains("1 of them is decided to be confirmed"), "{}", dry.stdout);
    let done = tercet_with(&tercet, &bulk).await;
    assert_eq!(done.code, Some(1), "{} {}", done.stdout, done.stderr);
    for said in ["1 of 2 done, 1 failed", "tx-late", "already-confirmed"] {
        assert!(done.stdout.contains(said), "{said} in {}", done.stdout);
    }
    let resolve = ["tx", "bulk", "resolve", "--participant", &participant.host_port(), "--yes"];
    let refused = tercet_with(&tercet, &[&resolve[..], &["--as", "confirmed"]].concat()).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("note"), "{}", refused.stderr);
    let word = ["--as", "confirmed", "--note", "seen", "-o", "json"];
    let done = tercet_with(&tercet, &[&resolve[..], &word].concat()).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let view: Value = serde_json::from_str(&done.stdout).expect("JSON alone");
    assert_eq!((&view["state"], &view["done"]), (&json!("done"), &json!(1)), "{view}");
}

/// Whoever goes away leaves the job, and hears how to stop it.
#[tokio::test]
async fn a_bulk_interrupted_leaves_its_job_running() {
    let tercet = Tercet::start_with(&[("JOBS__PER_SECOND", "1")]).await;
    for number in 0..20 {
        tercet.client().begin("", &begin_open(&format!("tx-{number}"), &[])).await;
    }
    let (directory, url) = (directory(), format!("http://{}", tercet.address()));
    let mut command = tercet_testing::program(directory.path());
    command
        .args(["tx", "bulk", "retry", "--gid-prefix", "tx-", "--yes", "--url", &url])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("it starts");
    let pid = child.id().expect("it runs");
    let begun = async || (!jobs(&tercet).await.is_empty()).then_some(());
    eventually("the job is begun", begun).await;
    let interrupt = std::process::Command::new("sh")
        .args(["-c", &format!("kill -INT {pid}")])
        .status()
        .expect("a shell");
    assert!(interrupt.success());
    let output = tercet_testing::soon("it ends", child.wait_with_output()).await.expect("it ran");
    let job = jobs(&tercet).await.remove(0);
    assert!(matches!(job["state"].as_str(), Some("queued" | "running")), "{job}");
    if output.status.code() == Some(1) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let stop = format!("tercet jobs stop {}", job["id"].as_str().expect("an id"));
        assert!(said.contains(&stop), "{said}");
    }
}
