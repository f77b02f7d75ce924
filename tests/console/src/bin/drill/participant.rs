//! A participant with books, which answers what the scenario says, and can be gone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What a call is answered with.
type Answers = Box<dyn Fn(&str, &Value) -> (u16, Value) + Send>;

/// How often each call of a gid was done here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) tried: usize,
    pub(crate) confirmed: usize,
    pub(crate) cancelled: usize,
}

/// What a service has done, by gid; two services may keep the same.
pub(crate) type Books = Arc<Mutex<BTreeMap<String, Entry>>>;

/// One on a port of its own.
pub(crate) struct Participant {
    name: &'static str,
    address: SocketAddr,
    desk: Arc<Desk>,
    running: Mutex<Option<Running>>,
}

struct Desk {
    answers: Mutex<Answers>,
    books: Books,
}

struct Running {
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Participant {
    /// One that does whatever it is asked.
    pub(crate) async fn start(name: &'static str) -> Self {
        Self::with_books(name, Books::default()).await
    }

    /// The same, on the books of another.
    pub(crate) async fn with_books(name: &'static str, books: Books) -> Self {
        let answers: Answers = Box::new(|_, _| (200, Value::Null));
        let desk = Arc::new(Desk { answers: Mutex::new(answers), books });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let running = Mutex::new(Some(serve(listener, &desk)));
        Self { name, address, desk, running }
    }

    /// From here on a call is answered with what this says of its kind and its payload.
    pub(crate) fn answer(&self, answers: impl Fn(&str, &Value) -> (u16, Value) + Send + 'static) {
        *locked(&self.desk.answers) = Box::new(answers);
    }

    /// Ends it: connections are closed, and nobody listens at its port.
    pub(crate) async fn die(&self) {
        let running = locked(&self.running).take().expect("it runs");
        running.stop.notify_one();
        running.task.await.expect("it ends");
    }

    /// Starts it again where it was.
    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.expect("its port");
        *locked(&self.running) = Some(serve(listener, &self.desk));
    }

    /// Its name in the report.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn host_port(&self) -> String {
        self.address.to_string()
    }

    /// Where its branches are called.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/{}", self.address, self.name)
    }

    pub(crate) fn books(&self) -> Books {
        Arc::clone(&self.desk.books)
    }

    /// What its books have of a gid.
    pub(crate) fn entry(&self, gid: &str) -> Entry {
        locked(&self.desk.books).get(gid).copied().unwrap_or_default()
    }

    /// Writes in its books by hand.
    pub(crate) fn write(&self, gid: &str, change: impl FnOnce(&mut Entry)) {
        change(locked(&self.desk.books).entry(gid.to_owned()).or_default());
    }
}

fn serve(listener: TcpListener, desk: &Arc<Desk>) -> Running {
    let router = Router::new().fallback(answer).with_state(Arc::clone(desk));
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let task = tokio::spawn(async move {
        let served = axum::serve(listener, router);
        let served = served.with_graceful_shutdown(async move { stopped.notified().await });
        served.await.expect("it serves");
    });
    Running { stop, task }
}

async fn answer(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    payload: Bytes,
) -> (StatusCode, String) {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (op, gid) = (header("tercet-op"), header("tercet-gid"));
    let payload = serde_json::from_slice(&payload).unwrap_or_default();
    let (status, body) = locked(&desk.answers)(&op, &payload);
    if (200..300).contains(&status) {
        let mut books = locked(&desk.books);
        let entry = books.entry(gid).or_default();
        match op.as_str() {
            "try" => entry.tried += 1,
            "confirm" => entry.confirmed += 1,
            "cancel" => entry.cancelled += 1,
            _ => {}
        }
    }
    let status = StatusCode::from_u16(status).expect("a status");
    (status, if body.is_null() { String::new() } else { body.to_string() })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
