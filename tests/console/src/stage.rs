//! A coordinator with tokens, and what is asked of it beside the console.

use std::path::PathBuf;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{Participant, eventually};

/// Whose token something is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Begins and decides, too.
    Client,
    /// Everything.
    Operator,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Client => "client",
            Self::Operator => "operator",
        }
    }

    /// How histories call whoever has it.
    #[must_use]
    pub fn who(self) -> &'static str {
        match self {
            Self::Viewer => "vera",
            Self::Client => "carl",
            Self::Operator => "olga",
        }
    }
}

/// The token of whoever has this role.
#[must_use]
pub fn token(role: Role) -> String {
    format!("{0}-{0}-{0}-{0}", role.word())
}

/// The tokens of all roles, as a daemon's settings have them.
#[must_use]
pub fn tokens() -> Value {
    let named = |role: Role| {
        let hex = sha256(&token(role));
        json!({"name": role.who(), "role": role.word(), "sha256": hex})
    };
    Value::from([Role::Viewer, Role::Client, Role::Operator].map(named).to_vec())
}

/// What a daemon knows of a token.
#[must_use]
pub fn sha256(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A running daemon.
pub struct Stage {
    /// Its URL.
    pub url: String,
    http: reqwest::Client,
    _daemon: Child,
    _directory: TempDir,
}

impl Stage {
    /// One on an empty database, with a token of each role.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with other settings, each as `("SECTION__KEY", "value")`.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let port = free_port();
        let database = format!("sqlite://{}", directory.path().join("tercet.db").display());
        let mut command = Command::new(program("tercet"));
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--database-url", &database])
            .env("TERCET_AUTH__TOKENS", tokens().to_string())
            .env("TERCET_NODE__ID", "node-a")
            .stderr(Stdio::null())
            .kill_on_drop(true);
        for (name, value) in settings {
            command.env(format!("TERCET_{name}"), value);
        }
        let daemon = command.spawn().expect("the daemon starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://127.0.0.1:{port}");
        let it = Self { url, http, _daemon: daemon, _directory: directory };
        eventually("the daemon is ready", || async {
            let ready = it.http.get(format!("{}/readyz", it.url)).send().await;
            ready.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        it
    }

    /// Asks the API as the operator.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let mut request = request.bearer_auth(token(Role::Operator));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// What is read there.
    ///
    /// # Panics
    /// It cannot be read.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Begins a transaction of these branches.
    ///
    /// # Panics
    /// It is not taken.
    pub async fn begin(&self, gid: &str, branches: &[(&str, &Participant)], more: Value) {
        let branches = branches.iter().map(|(id, participant)| {
            json!({"id": id, "endpoint": participant.url(&format!("/{id}")), "payload": {"order": gid}})
        });
        let mut body = json!({
            "gid": gid, "branches": branches.collect::<Vec<_>>(), "metadata": {"channel": "web"},
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let path = "/v1/transactions?wait=accepted";
        let (status, answer) = self.ask(Method::POST, path, Some(body)).await;
        assert!(matches!(status, 200..=202), "{gid}: {answer}");
    }

    /// Waits until a transaction is as this says.
    ///
    /// # Panics
    /// It never is.
    pub async fn until(&self, gid: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/transactions/{gid}");
        eventually(&format!("{gid}: {what}"), || async {
            let (_, view) = self.ask(Method::GET, &path, None).await;
            is_so(&view).then_some(view)
        })
        .await
    }

    /// The kinds of the lines of its history.
    ///
    /// # Panics
    /// It cannot be read.
    pub async fn history(&self, gid: &str) -> Vec<String> {
        let events = self.get(&format!("/v1/transactions/{gid}/events?limit=500")).await;
        let items = events["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|line| line["kind"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A program that was built.
///
/// # Panics
/// It was not.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let bins = std::env::var("BIN_DIR").unwrap_or_else(|_| "../../target/debug".to_owned());
    let program = PathBuf::from(bins).join(name);
    assert!(program.exists(), "{} is not built", program.display());
    program
}

/// One that nobody has at the moment.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
