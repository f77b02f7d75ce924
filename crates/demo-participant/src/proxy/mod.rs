//! A network with bad habits: it stands between coordinator and participant, and of every ten calls
//! it doubles one, or delays it, or lets the next one overtake it, or loses its answer.
//!
//! ```text
//!   coordinator ──▶ fate (seed, name of the call) ──▶ deliver, perhaps twice, late, or after the
//!        ▲                                            next call of its branch ──▶ participant
//!        └──── the answer, or nothing ◀───────────────────────────┘
//! ```
//!
//! Nothing is invented: every call that arrives was sent, and what it carries is not touched.

mod counts;
mod fate;
mod overtaken;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{StatusCode, Uri, header, request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, body};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinHandle;

use self::counts::Counts;
use self::fate::{CallName, Fate, fate};
use self::overtaken::HeldBack;
use crate::serve::{self, ServeError};

/// More than the coordinator sends, or reads of an answer.
const BODY_LIMIT_BYTES: usize = 1024 * 1024;
/// How long a caller is left without an answer: longer than anybody waits.
const SILENCE: Duration = Duration::from_secs(600);

/// The proxy's command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where it listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The participant, such as http://127.0.0.1:7302
    #[arg(long, value_name = "URL")]
    to: Uri,
    /// Another seed, other calls that are troubled.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// It does not lead anywhere.
    #[error("--to {0}: only http://HOST:PORT will do")]
    To(Uri),
    /// It cannot be called.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs until told to stop, and then prints what was done.
pub(crate) async fn run(arguments: Arguments) -> Result<(), ProxyError> {
    let Arguments { listen, to, seed } = arguments;
    let proxy = Arc::new(Proxy::new(&to, seed)?);
    serve::serve(serve::listen(listen).await?, router(Arc::clone(&proxy))).await?;
    println!("{}", proxy.counts);
    Ok(())
}

fn router(proxy: Arc<Proxy>) -> Router {
    let counts = |State(proxy): State<Arc<Proxy>>| async move {
        Json(serde_json::json!(proxy.counts)).into_response()
    };
    Router::new().route("/counts", get(counts)).fallback(pass).with_state(proxy)
}

struct Proxy {
    to: Authority,
    seed: u64,
    counts: Counts,
    held_back: HeldBack,
    client: Client<HttpConnector, Body>,
}

/// A request as it came, to be sent once or twice.
#[derive(Clone)]
struct Call {
    head: request::Parts,
    body: body::Bytes,
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT_BYTES).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let call = Call { head, body };
    match CallName::read(&call.head.headers) {
        Some(name) => proxy.trouble(name, call).await,
        None => proxy.send(call).await,
    }
}

impl Proxy {
    fn new(to: &Uri, seed: u64) -> Result<Self, ProxyError> {
        let unusable = || ProxyError::To(to.clone());
        let authority = to.authority().ok_or_else(unusable)?;
        if to.scheme() != Some(&Scheme::HTTP) || to.path() != "/" || to.query().is_some() {
            return Err(unusable());
        }
        Ok(Self {
            to: authority.clone(),
            seed,
            counts: Counts::default(),
            held_back: HeldBack::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    async fn trouble(self: Arc<Self>, name: CallName, call: Call) -> Response {
        let fate = fate(self.seed, &name);
        self.counts.met(fate);
        match fate {
            Fate::Passed => answer_of(self.deliver(name, call, Duration::ZERO)).await,
            Fate::Doubled { after } => {
                drop(Arc::clone(&self).deliver(name.clone(), call.clone(), after));
                answer_of(self.deliver(name, call, Duration::ZERO)).await
            }
            Fate::Delayed { by } => answer_of(self.deliver(name, call, by)).await,
            Fate::Overtaken => {
                self.counts.begun();
                let place = self.held_back.place(&name.branch);
                tokio::spawn(async move {
                    self.held_back.wait(place).await;
                    self.send(call).await;
                    self.counts.ended();
                });
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
            Fate::AnswerLost => {
                answer_of(self.deliver(name, call, Duration::ZERO)).await;
                tokio::time::sleep(SILENCE).await;
                StatusCode::GATEWAY_TIMEOUT.into_response()
            }
        }
    }

    /// Sends a call after a pause, and lets those go on that it has overtaken. In a task of its
    /// own: what was sent arrives, whether or not its sender still waits.
    fn deliver(
        self: Arc<Self>,
        name: CallName,
        call: Call,
        after: Duration,
    ) -> JoinHandle<Response> {
        self.counts.begun();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let answer = self.send(call).await;
            self.held_back.overtake(&name.branch);
            self.counts.ended();
            answer
        })
    }

    async fn send(&self, call: Call) -> Response {
        let Call { mut head, body } = call;
        let path = head.uri.path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(self.to.clone());
        let Ok(uri) = uri.path_and_query(path).build() else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        head.uri = uri;
        // These belong to a connection, and ours is another one.
        for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        match self.client.request(Request::from_parts(head, Body::from(body))).await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => {
                tracing::debug!(%error, "not delivered");
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }
}

async fn answer_of(delivery: JoinHandle<Response>) -> Response {
    delivery.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a delivery broke off");
        StatusCode::BAD_GATEWAY.into_response()
    })
}

#[cfg(test)]
mod tests;
