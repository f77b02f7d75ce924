//! A receiver of webhooks that writes down what came and answers as the test says.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::port::Port;
use crate::server::serve;
use crate::soon;

/// A receiver on a port of its own. It answers with the statuses it was told to, then with 200.
#[derive(Debug)]
pub struct Receiver {
    port: Port,
    state: Arc<State>,
    /// `None` while nobody listens.
    server: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    answers: Mutex<VecDeque<StatusCode>>,
    deliveries: watch::Sender<Vec<Delivery>>,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, as it came.
    pub text: String,
    /// The body, read.
    pub json: Value,
}

impl Receiver {
    /// One on a free port that answers the first deliveries with these statuses.
    pub async fn start(answers: &[u16]) -> Self {
        let mut receiver = Self::down(answers);
        receiver.listen().await;
        receiver
    }

    /// One that is down: connections to it are refused until it listens.
    ///
    /// # Panics
    /// A status is none.
    #[must_use]
    pub fn down(answers: &[u16]) -> Self {
        let status = |code: &u16| StatusCode::from_u16(*code).expect("a status");
        let answers = Mutex::new(answers.iter().map(status).collect());
        let state = State { answers, deliveries: watch::Sender::new(Vec::new()) };
        Self { port: Port::free(), state: Arc::new(state), server: None }
    }

    /// Listens from here on.
    ///
    /// # Panics
    /// It does already.
    pub async fn listen(&mut self) {
        assert!(self.server.is_none(), "it listens already");
        let state = Arc::clone(&self.state);
        let serving = serve(self.port.listen(), move |request| answer(request, Arc::clone(&state)));
        self.server = Some(tokio::spawn(serving));
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.port.address())
    }

    /// Every delivery so far, in the order they came.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.deliveries.borrow().clone()
    }

    /// Waits until so many came.
    ///
    /// # Panics
    /// They do not.
    pub async fn delivered(&self, count: usize) -> Vec<Delivery> {
        let mut deliveries = self.state.deliveries.subscribe();
        let there = deliveries.wait_for(|deliveries| deliveries.len() >= count);
        let there = soon(&format!("delivery {count} of a webhook"), there).await;
        there.expect("the receiver outlives the wait").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = head.headers.iter().map(header).collect();
    let json = serde_json::from_str(&text).unwrap_or_default();
    let status = {
        let mut answers = state.answers.lock().expect("nobody panics while it answers");
        answers.pop_front().unwrap_or(StatusCode::OK)
    };
    state.deliveries.send_modify(|all| all.push(Delivery { headers, text, json }));
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}
