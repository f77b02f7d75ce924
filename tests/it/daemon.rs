//! `tercet dev` and `tercet serve` as a person starts them.

use std::process::Stdio;

use tercet_testing::{program, soon};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::ran::{directory, run};

#[tokio::test]
async fn dev_prints_three_curl_lines_that_run_a_transaction_when_pasted() {
    let directory = directory();
    let mut dev = program(directory.path());
    dev.args(["dev", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut dev = dev.spawn().expect("it starts");
    let mut lines = BufReader::new(dev.stdout.take().expect("piped")).lines();
    let mut curls = Vec::new();
    while curls.len() < 3 {
        let line = soon("a curl line", lines.next_line()).await.expect("readable");
        let line = line.expect("it goes on printing until there are three");
        curls.extend(line.trim().starts_with("curl ").then(|| line.trim().to_owned()));
    }
    let mut statuses = Vec::new();
    for line in &curls {
        let shell = Command::new("sh").args(["-c", line]).output();
        let output = soon(line, shell).await.expect("a shell");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(output.status.success() && answer["status"].is_string(), "{line}: {output:?}");
        statuses.push(answer["status"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(statuses, ["trying", "confirmed", "confirmed"]);
    dev.start_kill().expect("it runs");
    soon("its end", dev.wait()).await.expect("it was started");
    let anywhere = run(directory.path(), &["dev", "--listen", "0.0.0.0:0"], &[]).await;
    assert_eq!(anywhere.code, Some(2), "dev is for loopback: {}", anywhere.stderr);
}

#[tokio::test]
async fn dev_leaves_no_database_behind() {
    let directory = directory();
    let mut dev = program(directory.path());
    dev.env("TMPDIR", directory.path());
    dev.args(["dev", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut dev = dev.spawn().expect("it starts");
    let mut lines = BufReader::new(dev.stdout.take().expect("piped")).lines();
    let started = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("curl") {
                return true;
            }
        }
        false
    };
    assert!(soon("its lines", started).await);
    let there = || std::fs::read_dir(directory.path()).expect("readable").count();
    assert_eq!(there(), 1, "one directory of its own");
    let pid = dev.id().expect("it runs");
    let term = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
    assert!(term.expect("a shell").success());
    let status = soon("its end", dev.wait()).await.expect("it was started");
    assert_eq!((status.code(), there()), (Some(0), 0));
}

#[tokio::test]
async fn serve_logs_json_when_told_to_and_keeps_its_journal_where_it_was_started() {
    let directory = directory();
    let mut serve = program(directory.path());
    serve.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut serve = serve.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(serve.stderr.take().expect("piped")).lines();
    let ready = async {
        loop {
            let line = lines.next_line().await.expect("readable").expect("it goes on");
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if line.to_string().contains("ready") {
                break line;
            }
        }
    };
    let ready = soon("it is ready", ready).await;
    assert!(ready.to_string().contains("http://127.0.0.1:"), "{ready}");
    assert!(directory.path().join("tercet.db").exists());
    let pid = serve.id().expect("it runs");
    let int = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status().await;
    assert!(int.expect("a shell").success());
    assert_eq!(soon("its end", serve.wait()).await.expect("it was started").code(), Some(0));
}
