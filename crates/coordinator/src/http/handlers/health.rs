//! `GET /livez`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use tercet_wire::{Problem, ProblemCode};

use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// How long `/metrics` waits for the engine to count.
const CENSUS_WAIT: Duration = Duration::from_secs(1);

/// Is the process up?
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    responses((status = 200, body = String, content_type = "text/plain", description = "It is.")),
)]
pub(in crate::http) async fn livez() -> &'static str {
    "ok\n"
}

/// Does this node take work?
///
/// Its journal can write and it is not stopping.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "It does."),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`shutting-down` or `journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn readyz(State(api): State<Arc<Api>>) -> Result<&'static str, Failure> {
    if api.readiness.is_stopping() {
        return Err(Failure::new(ProblemCode::ShuttingDown, "this node is stopping"));
    }
    if !api.readiness.is_writable() {
        let detail = "the journal cannot write at the moment, or is still being opened";
        return Err(Failure::new(ProblemCode::JournalUnavailable, detail));
    }
    Ok("ready\n")
}

/// Metrics
///
/// In Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, body = String, content_type = "text/plain", description = "All metrics.")),
)]
pub(in crate::http) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    // What stands where is counted when somebody looks. An engine that has stopped or is
    // stuck has nothing to say, and the rest must be seen all the more.
    let census = tokio::time::timeout(CENSUS_WAIT, api.engine.census()).await;
    if let Ok(Some(census)) = census {
        api.transactions.take_census(&census, api.clock.now().wall);
    }
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], api.metrics.render()).into_response()
}
