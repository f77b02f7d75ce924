//! What the environment of the process may not change. Each test runs itself again in
//! a child process with that environment, since one's own cannot be changed safely.

use std::process::Command;

use tercet_wire::Answer;

use super::inbox::Inbox;
use super::{call, dispatcher};
use tercet_testing::RawParticipant;

const CHILD: &str = "TERCET_TEST_CHILD";

/// Runs one test of this module in a child process with these variables set. `false` in
/// the child itself.
fn in_child(test: &str, environment: &[(&str, &str)]) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("dispatcher::tests::environment::{test}"), "--nocapture"])
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .output()
        .expect("a child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "the child ran no test:\n{stdout}");
    true
}

async fn a_call_gets_through() {
    let mut participant = RawParticipant::start().await;
    let (dispatcher, mut inbox) = (dispatcher(), Inbox::new());
    inbox.send(&dispatcher, call(&participant.url("/payment"), "a1"));
    let answering = async { participant.arrival().await.answer("200 OK", b"").await };
    // The answer comes first if the call goes elsewhere.
    let answer = tokio::select! {
        answer = inbox.answer() => answer,
        () = answering => inbox.answer().await,
    };
    let ok = Answer::Status { code: 200, retry_after: None, excerpt: String::new() };
    assert_eq!(answer, ok);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_not_used() {
    // Nobody listens there.
    let nobody = "http://127.0.0.1:1";
    let proxy =
        [("HTTP_PROXY", nobody), ("http_proxy", nobody), ("ALL_PROXY", nobody), ("NO_PROXY", "")];
    if !in_child("the_proxy_of_the_environment_is_not_used", &proxy) {
        a_call_gets_through().await;
    }
}

#[tokio::test]
async fn a_machine_without_certificate_authorities_still_calls_over_http() {
    let none = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    if !in_child("a_machine_without_certificate_authorities_still_calls_over_http", &none) {
        a_call_gets_through().await;
    }
}
