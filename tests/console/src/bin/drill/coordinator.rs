//! The coordinator as a process that can be lost and started elsewhere, and what is asked of it beside the operator.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tercet_console_tests::{
    Role, eventually, eventually_within, free_port, program, token, tokens,
};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// Who begins many transactions.
const HANDS: usize = 32;
/// What many take that happens at all, however busy the machine is.
pub(crate) const OF_MANY: Duration = Duration::from_secs(600);
/// A begin that is answered once it is durable.
pub(crate) const BEGIN: &str = "/v1/transactions?wait=accepted";

/// One, with a token of each role.
pub(crate) struct Coordinator {
    url: String,
    port: u16,
    /// Where its database lies.
    folder: PathBuf,
    home: Arc<TempDir>,
    settings: Vec<(String, String)>,
    flags: Vec<String>,
    process: Option<Child>,
    http: reqwest::Client,
}

impl Coordinator {
    /// One that is not started yet, and has its address already.
    pub(crate) fn new(home: Arc<TempDir>) -> Self {
        let port = free_port();
        let folder = home.path().join("data");
        std::fs::create_dir(&folder).expect("a folder");
        Self {
            url: format!("http://127.0.0.1:{port}"),
            port,
            folder,
            home,
            settings: Vec::new(),
            flags: Vec::new(),
            process: None,
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        }
    }

    /// From its next start on it has this setting.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.push((format!("TERCET_{name}"), value.to_owned()));
    }

    /// From its next start on it has its database there, and these flags.
    pub(crate) fn move_to(&mut self, folder: &Path, flags: &[&str]) {
        folder.clone_into(&mut self.folder);
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Starts it, and waits until it takes work.
    pub(crate) async fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = Command::new(program("tercet"));
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)])
            .args(&self.flags)
            .env("TERCET_DATABASE__URL", self.database())
            .env("TERCET_AUTH__TOKENS", tokens().to_string())
            .env("TERCET_NODE__ID", "node-a")
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        self.process = Some(command.spawn().expect("the coordinator starts"));
        eventually("the coordinator is ready", || async {
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
    }

    /// Loses the machine: the process ends at once, and nothing of its disk is left.
    pub(crate) async fn lose(&mut self) {
        self.process.take().expect("it runs").kill().await.expect("it can be killed");
        std::fs::remove_dir_all(&self.folder).expect("its folder");
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn database(&self) -> String {
        format!("sqlite://{}", self.folder.join("tercet.db").display())
    }

    /// A folder for whatever belongs to the scenario.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("tercet.log")
    }

    /// A line of its log that has this, once it is there.
    pub(crate) async fn logged(&self, event: &str) {
        eventually(&format!("{event} in the log"), || async {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            log.contains(event).then_some(())
        })
        .await;
    }

    /// Asks it with this token.
    pub(crate) async fn ask(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Response> {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await
    }

    /// Asks it as an operator would, who looks whether all is well.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask(&token(Role::Operator), Method::GET, path, None).await;
        let answer = answer.expect("an answer");
        let status = answer.status();
        let body = answer.json().await.unwrap_or_default();
        assert!(status.is_success(), "{path} is answered {status}: {body}");
        body
    }

    /// Has its initiator do something, which must be taken.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        post(&self.http, &format!("{}{path}", self.url), body).await
    }

    /// Begins a transaction, and waits until it is as the query says (`?wait=…`).
    pub(crate) async fn begin(&self, query: &str, body: &Value) -> Value {
        self.post(&format!("/v1/transactions{query}"), body).await
    }

    /// Begins so many as fast as some initiators can.
    pub(crate) async fn begin_many(
        &self,
        count: usize,
        body: impl Fn(usize) -> Value + Send + Sync + 'static,
    ) {
        let (next, body) = (Arc::new(AtomicUsize::new(0)), Arc::new(body));
        let mut hands = JoinSet::new();
        for _ in 0..HANDS.min(count) {
            let (next, body) = (Arc::clone(&next), Arc::clone(&body));
            let (http, url) = (self.http.clone(), format!("{}{BEGIN}", self.url));
            hands.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    post(&http, &url, &body(number)).await;
                }
            });
        }
        hands.join_all().await;
    }

    pub(crate) async fn transaction(&self, gid: &str) -> Value {
        self.get(&format!("/v1/transactions/{gid}")).await
    }

    /// Waits until a transaction is so.
    pub(crate) async fn until(&self, gid: &str, status: &str) -> Value {
        eventually(&format!("{gid} is {status}"), || async {
            let view = self.transaction(gid).await;
            (view["status"] == status).then_some(view)
        })
        .await
    }

    /// Waits until the counts of all transactions are so.
    pub(crate) async fn counted(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let look = || async { is_so(&self.get("/v1/stats").await).then_some(()) };
        eventually_within(OF_MANY, what, look).await;
    }

    /// What its metrics say of this one, all labels together; none where they are not told.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.ask(&token(Role::Viewer), Method::GET, "/metrics", None).await.ok()?;
        let text = answer.text().await.ok()?;
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            // With labels in it the series is meant, without them all of that name.
            let (known, _) = series.split_once('{').unwrap_or((series, ""));
            (series == name || known == name).then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Waits until a metric says what a rule looks for.
    pub(crate) async fn measured(&self, name: &str, is_so: impl Fn(f64) -> bool) {
        let look = || async { self.metric(name).await.filter(|value| is_so(*value)) };
        eventually_within(OF_MANY, name, look).await;
    }

    /// What operators did, by the audit.
    pub(crate) async fn acts(&self, action: &str) -> Vec<Value> {
        let audit = self.get(&format!("/v1/audit?action={action}&limit=500")).await;
        audit["items"].as_array().cloned().unwrap_or_default()
    }
}

async fn post(http: &reqwest::Client, url: &str, body: &Value) -> Value {
    let answer = http.post(url).bearer_auth(token(Role::Client)).json(body).send().await;
    let answer = answer.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    assert!(status.is_success(), "{url} is answered {status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// A branch with all its calls there.
pub(crate) fn branch(id: &str, endpoint: &str, payload: &Value) -> Value {
    json!({"id": id, "endpoint": endpoint, "payload": payload})
}
