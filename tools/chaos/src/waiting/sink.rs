//! A participant that takes every call and counts how many come at once.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tercet_testing::{Port, serve};
use tokio::task::JoinHandle;

/// A participant on a port that stays its own while it is dead.
#[derive(Debug)]
pub(super) struct Sink {
    port: Port,
    seen: Arc<Seen>,
    server: Option<JoinHandle<()>>,
}

/// What it has seen.
#[derive(Debug)]
struct Seen {
    /// How long it takes over a call.
    takes: Duration,
    calls: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    gids: Mutex<BTreeSet<String>>,
}

impl Sink {
    /// One that is dead: nobody listens on its port.
    pub(super) fn dead(takes: Duration) -> Self {
        let seen = Seen {
            takes,
            calls: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            gids: Mutex::default(),
        };
        Self { port: Port::free(), seen: Arc::new(seen), server: None }
    }

    /// Begins to answer.
    pub(super) fn live(&mut self) {
        self.server = Some(tokio::spawn(serve(self.port.listen(), {
            let seen = Arc::clone(&self.seen);
            move |request| Arc::clone(&seen).answer(request)
        })));
    }

    /// As a URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// As the coordinator names it: host and port.
    pub(super) fn name(&self) -> String {
        self.port.address().to_string()
    }

    /// Calls so far.
    pub(super) fn calls(&self) -> usize {
        self.seen.calls.load(Ordering::Relaxed)
    }

    /// The most calls there were at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.seen.most.load(Ordering::Relaxed)
    }

    /// Transactions of which it has answered a call.
    pub(super) fn transactions(&self) -> usize {
        self.seen.gids.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

impl Seen {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Full<Bytes>>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        // The rest of a body that broke off does not come.
        let _ = body.collect().await;
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        let gid = head.headers.get("tercet-gid").and_then(|gid| gid.to_str().ok());
        if let Some(gid) = gid {
            self.gids.lock().unwrap_or_else(PoisonError::into_inner).insert(gid.to_owned());
        }
        self.now.fetch_sub(1, Ordering::Relaxed);
        Ok(Response::new(Full::default()))
    }
}
