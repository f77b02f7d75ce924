//! The kit's program, as somebody who writes a participant in another language uses it.

use std::process::{Command, Output, Stdio};

use crate::wrong::{self, Flaw};

async fn run(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_check-participant"));
    program.args(arguments);
    let run = tokio::task::spawn_blocking(move || program.output());
    run.await.expect("no panic").expect("it starts")
}

async fn check(flaw: Flaw) -> (Option<i32>, String) {
    let url = wrong::serve(flaw).await;
    let (endpoint, probe) = (format!("{url}/account"), format!("{url}/balances"));
    let arguments = [
        endpoint.as_str(),
        "--payload",
        r#"{"amount":1}"#,
        "--refused",
        r#"{"amount":1000000}"#,
        "--probe",
        &probe,
        "--reserved",
        "frozen",
        "--conserved",
        "balance+frozen+spent",
        "--rounds",
        "2",
        "--seed",
        "7",
    ];
    let output = run(&arguments).await;
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn exit_status_and_words_say_whether_the_rules_are_kept() {
    let (status, words) = check(Flaw::Nothing).await;
    assert_eq!(status, Some(0), "{words}");
    assert!(words.contains("keeps all 28 rules") && words.contains("seed 7"), "{words}");
    let (status, words) = check(Flaw::RunsEmptyCancels).await;
    assert_eq!(status, Some(1), "{words}");
    assert!(words.contains("empty-cancel: "), "{words}");
}

#[tokio::test]
async fn balances_that_nobody_shows_are_refused_before_a_call() {
    let url = wrong::serve(Flaw::Nothing).await;
    let (endpoint, probe) = (format!("{url}/account"), format!("{url}/balances"));
    for (flag, name) in
        [("--reserved", "alice.frozen"), ("--watch", "x"), ("--conserved", "balance+frosen")]
    {
        let arguments = [&endpoint, "--payload", r#"{"amount":1}"#, "--probe", &probe, flag, name];
        let output = run(&arguments).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        let wrong = name.rsplit('+').next().expect("a name");
        assert!(told.contains(&format!("no probe shows a balance {wrong:?}")), "{told}");
        assert!(told.contains("they show: balance 0, frozen 0, spent 0"), "{told}");
    }
}

#[tokio::test]
async fn nothing_stays_reserved_when_it_ends_early() {
    let url = wrong::serve(Flaw::Nothing).await;
    let (endpoint, probe) = (format!("{url}/account"), format!("{url}/balances"));
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_check-participant"));
    program.args([&endpoint, "--payload", r#"{"amount":1}"#, "--probe", &probe]);
    program.args(["--rounds", "100000", "--seconds", "600", "--reserved", "frozen"]);
    let program = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    // Whoever came first has chosen, and is right.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let frozen = || async {
        let text = reqwest::get(&probe).await.expect("an answer").text().await.expect("a body");
        let balances: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        balances["frozen"].as_i64().expect("a number")
    };
    // In the middle of it, and somebody's reservation is there.
    while frozen().await == 0 {}
    let pid = program.id().expect("it runs").to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status().expect("a signal");
    assert!(killed.success());
    let output = program.wait_with_output().await.expect("it ends");
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("not checked, since it was stopped"), "{words}");
    assert_eq!(frozen().await, 0, "{words}");
}

#[tokio::test]
async fn wrong_usage_is_told_apart_from_broken_rules() {
    let table: [(&[&str], i32, &str); 6] = [
        (&[], 2, "<ENDPOINT>"),
        (&["http://127.0.0.1:1/x"], 2, "--payload <JSON>"),
        (&["http://127.0.0.1:1/x", "--payload", "{"], 2, "'--payload <JSON>': EOF while parsing"),
        (&["http://127.0.0.1:1/x", "--payload", "{}", "--loud", "1"], 2, "'--loud'"),
        (&["http://127.0.0.1:1/x", "--payload", "{}", "--seed", "x"], 2, "'--seed <N>'"),
        (&["http://127.0.0.1:1/x", "--payload", "{}"], 3, "without a probe"),
    ];
    for (arguments, status, words) in table {
        let output = run(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{told}");
        assert!(told.contains(words), "{told}");
    }
    let rules = run(&["--rules"]).await;
    assert!(
        rules.status.success() && String::from_utf8_lossy(&rules.stdout).contains("empty-cancel")
    );
}
