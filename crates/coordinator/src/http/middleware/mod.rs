//! What every request passes through, in one place: refusing our own calls to participants
//! and, while the node stops, new work; catching panics, and counting.

pub(super) mod access;
pub(super) mod forwarding;
pub(super) mod passed;
pub(super) mod request_metrics;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, header};
use tercet_clock::Stopwatch;
use tercet_wire::ProblemCode;
use tracing::Instrument as _;

use crate::http::middleware::request_metrics::RequestMetrics;
use crate::http::readiness::Readiness;
use crate::http::response::problem::Failure;

/// What the middleware works with.
#[derive(Debug, Clone)]
pub(super) struct Middleware {
    pub(super) readiness: Readiness,
    pub(super) metrics: Arc<RequestMetrics>,
}

pub(super) async fn every_request(
    State(around): State<Middleware>,
    request: Request,
    next: Next,
) -> Response {
    let watch = Stopwatch::start();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map(MatchedPath::as_str);
    let span = tracing::debug_span!("request", method = %request.method(), route);
    // Every POST is work; what only reads is answered until the connections close.
    let mut response = if request.headers().contains_key(tercet_wire::header::OP) {
        called_by_a_coordinator().into_response()
    } else if around.readiness.is_stopping()
        && matches!(*request.method(), Method::POST | Method::PATCH)
    {
        let detail = "this node takes no new work; nothing happened";
        Failure::new(ProblemCode::ShuttingDown, detail).into_response()
    } else {
        caught(next.run(request)).instrument(span).await
    };
    if around.readiness.is_stopping() {
        // Whoever comes by this connection again comes in vain.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    around.metrics.answered(route, response.status(), watch.elapsed());
    response
}

/// A call to a participant that arrived at a coordinator. A URL of its own address is refused
/// when a transaction begins, but what a name resolves to, or a proxy leads to, is seen only
/// here; let in, such a call could ask for decisions in a loop.
fn called_by_a_coordinator() -> Failure {
    let detail = "Tercet-Op: a coordinator's call to a participant has arrived at a coordinator; \
                  a branch has the address of Tercet itself, not of its participant";
    Failure::new(ProblemCode::InvalidRequest, detail)
}

/// A panic in a handler is a fault of ours and gets an answer, like every other fault;
/// its message went to the log by the panic hook.
async fn caught(answering: impl Future<Output = Response>) -> Response {
    // After a panic the future is dropped and never looked into again.
    AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(event = "request_panicked", "a request met a panic");
        Failure::internal().into_response()
    })
}
