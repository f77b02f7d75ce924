//! `DELETE /v1/jobs/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tercet_wire::{JobState, JobView, Problem};

use crate::access::Caller;
use crate::http::extract::job_path::JobPath;
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Stop a job
///
/// Within a second it comes to nothing more. What it has done stays done, and its counts are kept. Of
/// one that has ended nothing changes. Safe to repeat.
#[utoipa::path(
    delete,
    operation_id = "stop_job",
    path = "/v1/jobs/{id}",
    tag = "operator",
    params(("id" = String, Path, description = "Which job.")),
    responses(
        (status = 200, body = JobView, description = "It has ended."),
        (status = 202, body = JobView, description = "It is being stopped."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`job-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn stop(
    State(api): State<Arc<Api>>,
    JobPath(id): JobPath,
    Query(()): Query<()>,
    caller: Caller,
) -> Result<Response, Failure> {
    let view = api.jobs.stop(id, &caller).await?;
    let status = match view.job.state {
        JobState::Stopped | JobState::Done => StatusCode::OK,
        JobState::Queued | JobState::Running | JobState::Stopping => StatusCode::ACCEPTED,
    };
    Ok((status, Json(view)).into_response())
}
