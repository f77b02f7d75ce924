//! A coordinator that takes what it is given, as the contract says, and counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tercet_participant::Client;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A transaction that was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) body: String,
    /// How often.
    pub(crate) times: u32,
    pub(crate) status: &'static str,
}

/// What it does.
#[derive(Debug, Default)]
struct Books {
    begun: BTreeMap<String, Begun>,
    /// Answered instead of taking it, by gid.
    instead: BTreeMap<String, (u16, Value)>,
    /// What it says of every begin instead.
    away: Option<u16>,
    /// The next begin is taken at once, and answered when this opens.
    gate: Option<Arc<Notify>>,
}

#[derive(Default)]
struct Inner {
    books: Mutex<Books>,
    begun: Notify,
}

/// The coordinator. Clones are the same.
#[derive(Clone)]
pub(crate) struct Coordinator {
    inner: Arc<Inner>,
    pub(crate) url: String,
    _serving: Arc<Serving>,
}

struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Coordinator {
    pub(crate) async fn start() -> Self {
        let inner: Arc<Inner> = Arc::default();
        let app = Router::new()
            .route("/v1/transactions", post(begin))
            .route("/v1/transactions/{gid}", get(show))
            .with_state(Arc::clone(&inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        Self { inner, url, _serving: Arc::new(Serving(serving)) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url).expect("a client")
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.inner.books.lock().expect("not poisoned")
    }

    /// Everything that was begun.
    pub(crate) fn begun(&self) -> BTreeMap<String, Begun> {
        self.books().begun.clone()
    }

    /// How often a gid was begun.
    pub(crate) fn times(&self, gid: &str) -> u32 {
        self.books().begun.get(gid).map_or(0, |begun| begun.times)
    }

    /// Waits until something is begun.
    pub(crate) async fn next_begin(&self) {
        self.inner.begun.notified().await;
    }

    /// It ends so.
    pub(crate) fn ends(&self, gid: &str, status: &'static str) {
        self.books().begun.get_mut(gid).expect("it was begun").status = status;
    }

    pub(crate) fn forgets(&self, gid: &str) {
        self.books().begun.remove(gid);
    }

    /// Begins of this gid are answered so; with `None` they are taken.
    pub(crate) fn says(&self, gid: &str, said: Option<(u16, &str)>) {
        let mut books = self.books();
        match said {
            Some((status, code)) => {
                books.instead.insert(gid.to_owned(), (status, problem(status, code)));
            }
            None => drop(books.instead.remove(gid)),
        }
    }

    /// Takes the next begin, and answers it when this is notified.
    pub(crate) fn holds_the_next(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        self.books().gate = Some(Arc::clone(&gate));
        gate
    }

    /// Everything is answered with this status by something that is no coordinator.
    pub(crate) fn is_away(&self, status: Option<u16>) {
        self.books().away = status;
    }
}

fn problem(status: u16, code: &str) -> Value {
    let detail = "branches[0].confirm: is denied";
    json!({"type": format!("/problems/{code}"), "code": code, "title": code, "status": status,
           "detail": detail})
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

async fn begin(State(inner): State<Arc<Inner>>, body: Bytes) -> Response {
    let (answer, gate) = inner.take(String::from_utf8(body.to_vec()).expect("UTF-8"));
    inner.begun.notify_one();
    if let Some(gate) = gate {
        gate.notified().await;
    }
    answer
}

impl Inner {
    fn take(&self, body: String) -> (Response, Option<Arc<Notify>>) {
        let asked: Value = serde_json::from_str(&body).expect("JSON");
        let gid = asked["gid"].as_str().expect("a gid").to_owned();
        let mut books = self.books.lock().expect("not poisoned");
        if let Some(status) = books.away {
            return (answer(status, &json!("away")), None);
        }
        if let Some((status, said)) = books.instead.get(&gid) {
            return (answer(*status, said), None);
        }
        let known = books.begun.entry(gid.clone()).or_default();
        if known.times == 0 {
            (known.body, known.status) = (body, "confirming");
        } else if known.body != body {
            return (answer(409, &problem(409, "gid-reused")), None);
        }
        known.times += 1;
        let said = answer(201, &json!({"gid": gid, "status": known.status}));
        (said, books.gate.take())
    }
}

async fn show(State(inner): State<Arc<Inner>>, Path(gid): Path<String>) -> Response {
    let books = inner.books.lock().expect("not poisoned");
    if let Some(status) = books.away {
        return answer(status, &json!("away"));
    }
    match books.begun.get(&gid) {
        Some(begun) => answer(200, &json!({"gid": gid, "status": begun.status})),
        None => answer(404, &problem(404, "transaction-not-found")),
    }
}
