//! What every request passes through, in one place: refusing while the node stops,
//! catching panics, and counting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use tercet_protocol::wire::ProblemCode;
use tracing::Instrument as _;

use crate::api::problem::Failure;
use crate::api::readiness::Readiness;
use crate::api::request_metrics::RequestMetrics;
use crate::clock::Stopwatch;

/// What the middleware works with.
#[derive(Debug, Clone)]
pub(super) struct Around {
    pub(super) readiness: Readiness,
    pub(super) metrics: Arc<RequestMetrics>,
}

pub(super) async fn around(State(around): State<Around>, request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map(MatchedPath::as_str);
    let span = tracing::debug_span!("request", method = %request.method(), route);
    // Every POST is work; what only reads is answered until the connections close.
    let response = if around.readiness.is_stopping() && request.method() == Method::POST {
        let detail = "this node takes no new work; nothing happened";
        Failure::new(ProblemCode::ShuttingDown, detail).into_response()
    } else {
        caught(next.run(request)).instrument(span).await
    };
    around.metrics.answered(route, response.status(), watch.elapsed());
    response
}

/// A panic in a handler is a fault of ours and gets an answer, like every other fault;
/// its message went to the log by the panic hook.
async fn caught(answering: impl Future<Output = Response>) -> Response {
    let mut answering = pin!(answering);
    std::future::poll_fn(|context| {
        // After a panic the future is dropped and never looked into again.
        let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            tracing::error!("a request met a panic");
            Poll::Ready(Failure::internal().into_response())
        })
    })
    .await
}
