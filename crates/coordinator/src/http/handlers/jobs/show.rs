//! `GET /v1/jobs/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{JobView, Problem};

use crate::http::extract::job_path::JobPath;
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Show a job
///
/// How far it is, and to which transactions it could not do what it does. Any node tells.
#[utoipa::path(
    get,
    operation_id = "show_job",
    path = "/v1/jobs/{id}",
    tag = "operator",
    params(("id" = String, Path, description = "Which job.")),
    responses(
        (status = 200, body = JobView, description = "The job."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`job-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn show(
    State(api): State<Arc<Api>>,
    JobPath(id): JobPath,
    Query(()): Query<()>,
) -> Result<Json<JobView>, Failure> {
    Ok(Json(api.jobs.show(id).await?))
}
