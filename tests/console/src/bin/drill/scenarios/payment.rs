//! The demo's payment service, which stands on the SDK as any user's would: a process with accounts and books.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tercet_console_tests::{GUARD, program};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::coordinator::branch;

/// A running one.
pub(super) struct Payment {
    url: String,
    _process: Child,
}

impl Payment {
    pub(super) async fn start(folder: &Path) -> Self {
        let mut process = Command::new(program("tercet-demo"))
            .args(["payment", "--listen", "127.0.0.1:0", "--db"])
            .arg(folder.join("payment.db"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the payment service starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line =
            tokio::time::timeout(GUARD, lines.next_line()).await.expect("it says so in time");
        let line = line.expect("a line").expect("a line");
        let url =
            line.strip_prefix("listening on ").expect("the line of one that is ready").to_owned();
        Self { url, _process: process }
    }

    pub(super) fn host_port(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    pub(super) fn endpoint(&self) -> String {
        format!("{}/payment", self.url)
    }

    /// A branch that takes so much of alice's money.
    pub(super) fn branch(&self, amount: &Value) -> Value {
        branch("payment", &self.endpoint(), &json!({"account": "alice", "amount": amount}))
    }

    /// Calls its Cancel, as the coordinator would of a branch that it knew.
    pub(super) async fn cancel(&self, gid: &str, instance: &str, amount: i64) {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let call = http.post(format!("{}/cancel", self.endpoint()));
        let headers = [
            ("tercet-gid", gid),
            ("tercet-branch", "payment"),
            ("tercet-instance", instance),
            ("tercet-op", "cancel"),
            ("tercet-legs", "try,confirm,cancel"),
        ];
        let call = headers.into_iter().fold(call, |call, (name, value)| call.header(name, value));
        let call = call.json(&json!({"account": "alice", "amount": amount}));
        let answer = call.send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        assert!(status.is_success(), "Cancel of {gid} is answered {status}: {text}");
    }

    /// What alice has, and what of it is promised.
    pub(super) async fn alice(&self) -> (i64, i64) {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let accounts = http.get(format!("{}/accounts", self.url)).send().await.expect("an answer");
        let accounts: Value = accounts.json().await.expect("accounts");
        let accounts = accounts.as_array().cloned().unwrap_or_default();
        let alice = accounts.iter().find(|it| it["account"] == "alice").expect("she has one");
        let number = |name: &str| alice[name].as_i64().expect("a number");
        (number("balance"), number("frozen"))
    }
}
