//! A line in the log for each call that comes, and one for each that is answered.
//!
//! Written only where it is asked for (`RUST_LOG=info,calls=debug`). The demo tells by it in which order the steps of
//! a trip were called: a line is written before the answer leaves, so whatever the coordinator does because of an
//! answer stands below it, when the services write to one file.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::{self, Next};
use axum::response::Response;

/// What the lines are found by.
const TARGET: &str = "calls";

/// Writes down what comes to these calls.
pub(crate) fn logged(calls: Router) -> Router {
    calls.layer(middleware::from_fn(log))
}

async fn log(call: Request, next: Next) -> Response {
    if !tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
        return next.run(call).await;
    }
    let what = named(call.headers());
    tracing::debug!(target: TARGET, "{what} called");
    let answer = next.run(call).await;
    tracing::debug!(target: TARGET, "{what} {}", answer.status().as_u16());
    answer
}

/// Gid, branch and leg. Who is asked for its own work is no branch.
fn named(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let [gid, op] = ["tercet-gid", "tercet-op"].map(|name| text(name).unwrap_or("?"));
    let branch = text("tercet-branch").unwrap_or("initiator");
    format!("{gid} {branch} {op}")
}
