//! What goes back over the wire. The status line is what counts (docs of the coordinator,
//! "Participant, called by the coordinator"); bodies are for people and for `answer`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tercet_wire::Op;

use crate::context::{BadHeader, Context};
use crate::failure::Failure;
use crate::guard::store::{Done, NotDone};
use crate::problem::{problem, whole_seconds, with_retry_after};

/// When a call that met another one should come again, in seconds.
const IN_PROGRESS_PAUSE_SECONDS: u64 = 1;

/// The body of a call that was done.
#[derive(Debug, Serialize)]
struct DoneBody {
    state: &'static str,
    repeated: bool,
}

/// The call was done, now or before.
pub(crate) fn done(done: Done) -> Response {
    if let Some(result) = done.result {
        return ([(CONTENT_TYPE, "application/json")], result).into_response();
    }
    Json(DoneBody { state: done.state.as_str(), repeated: done.repeated }).into_response()
}

/// Another call of the same branch is being worked on.
pub(crate) fn in_progress() -> Response {
    let detail = "another call of this branch is being worked on";
    let answer = problem(StatusCode::ACCEPTED, "in-progress", detail);
    with_retry_after(IN_PROGRESS_PAUSE_SECONDS, answer)
}

/// The call cannot be read.
pub(crate) fn bad_header(error: &BadHeader) -> Response {
    problem(StatusCode::BAD_REQUEST, "invalid-call", &error.to_string())
}

/// The call panicked, or the service is stopping.
pub(crate) fn broken_off() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "failed", "the call broke off; call again")
}

/// The call was not done. This is where its cause is logged.
pub(crate) fn not_done(context: &Context, why: &NotDone) -> Response {
    let Context { gid, branch, op, attempt, .. } = context;
    match why {
        NotDone::Contradiction(contradiction) => {
            let detail = contradiction.detail();
            if contradiction.is_alarming() {
                tracing::error!(%gid, %branch, %op, attempt, detail, "the guard stopped a call");
            } else {
                tracing::info!(%gid, %branch, %op, attempt, detail, "the guard stopped a call");
            }
            problem(contradiction.status(), contradiction.code(), detail)
        }
        NotDone::Payload(error) => {
            tracing::warn!(%gid, %branch, %op, attempt, %error, "the payload cannot be read");
            let detail = format!("the payload cannot be read: {error}");
            problem(StatusCode::BAD_REQUEST, "invalid-payload", &detail)
        }
        NotDone::InProgress => {
            tracing::debug!(%gid, %branch, %op, attempt, "{why}");
            in_progress()
        }
        NotDone::Busy => match op {
            Op::Cancel => in_progress(),
            Op::Try | Op::Confirm => {
                tracing::warn!(%gid, %branch, %op, attempt, "{why}");
                let answer = problem(StatusCode::SERVICE_UNAVAILABLE, "busy", &why.to_string());
                with_retry_after(IN_PROGRESS_PAUSE_SECONDS, answer)
            }
        },
        NotDone::Failure(Failure::Refused { code, detail }) => {
            tracing::info!(%gid, %branch, %op, attempt, %code, detail, "refused");
            problem(StatusCode::CONFLICT, code, detail)
        }
        NotDone::Failure(Failure::Retry { source, after }) => {
            tracing::warn!(%gid, %branch, %op, attempt, error = %source, "failed; to be called again");
            let answer = failed();
            match after {
                Some(after) => with_retry_after(whole_seconds(*after), answer),
                None => answer,
            }
        }
        NotDone::Failure(Failure::Database(error)) => {
            tracing::warn!(%gid, %branch, %op, attempt, %error, "failed; to be called again");
            failed()
        }
    }
}

/// The cause stays here: it may name tables, hosts or worse.
pub(crate) fn failed() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "failed", "the call failed here; call again")
}
