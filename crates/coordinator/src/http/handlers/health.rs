//! `GET /livez`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use metrics::gauge;
use tercet_wire::{Problem, ProblemCode, metric};

use crate::http::readiness::Readiness;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// How long `/metrics` waits for the engine to count.
const CENSUS_WAIT: Duration = Duration::from_secs(1);

/// The engine's loop goes round at least once a second. One that has not for so long stands still.
const OLDEST_BEAT: Duration = Duration::from_secs(5);
/// How long, and how often, an old beat is looked at again before it is told: a process that was
/// stopped and goes on, or a machine that was, has an old one for a moment.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// It takes work; what is not called meanwhile waits for people.
const HELD: &str = "ready; held since the database was restored: what was undecided in the backup (tercet restored release)\n";

/// Is the process alive?
///
/// It answers, also while it starts, and its engine's loop turns.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "It is."),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`not-live`"),
    ),
)]
pub(in crate::http) async fn livez(
    State(readiness): State<Readiness>,
) -> Result<&'static str, Failure> {
    turns(&readiness).await?;
    Ok("ok\n")
}

/// Whether the engine's loop turns; where there is none yet or none any more, nobody expects it.
async fn turns(readiness: &Readiness) -> Result<(), Failure> {
    for _ in 0..LOOKS {
        if readiness.beat_age().is_none_or(|age| age < OLDEST_BEAT) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let seconds = readiness.beat_age().unwrap_or_default().as_secs();
    let detail = format!("the engine's loop has not gone round for {seconds} s");
    Err(Failure::new(ProblemCode::NotLive, detail))
}

/// Does this node take work?
///
/// It has taken up what was unfinished, its loop turns, its journal can write and it is not
/// stopping.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "It does."),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`not-ready`, `not-live`, `shutting-down` or `journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn readyz(
    State(readiness): State<Readiness>,
) -> Result<&'static str, Failure> {
    if readiness.is_draining() {
        return Err(Failure::new(ProblemCode::ShuttingDown, "this node is stopping"));
    }
    if !readiness.is_started() {
        let detail = "this node is starting and takes up what was unfinished";
        return Err(Failure::new(ProblemCode::NotReady, detail));
    }
    turns(&readiness).await?;
    if !readiness.is_writable() {
        let detail = "the journal cannot write at the moment";
        return Err(Failure::new(ProblemCode::JournalUnavailable, detail));
    }
    Ok(match readiness.is_held() {
        false => "ready\n",
        true => HELD,
    })
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
    let is_ready = readyz(State(api.readiness.clone())).await.is_ok();
    gauge!(metric::READY).set(if is_ready { 1.0 } else { 0.0 });
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], api.metrics.render()).into_response()
}
