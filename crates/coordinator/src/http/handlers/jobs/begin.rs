//! `POST /v1/jobs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tercet_wire::{BegunJobView, JobRequest, MatchedView, Problem, check_job};

use crate::access::Caller;
use crate::http::extract::body::Body;
use crate::http::extract::job_filter::{job_query, matches_all};
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Do something to many transactions
///
/// To every unfinished one that the filter finds. A dry run, unless `dry_run` is `false`: it says how
/// many would be found, and shows five. Else a job is begun: it finds them first, so that what it is
/// about does not change while it goes on, and then comes to each once, `jobs.per_second` of them in a
/// second, also across restarts and by another node. `retry` calls now what is waiting, `cancel`
/// cancels what is not decided, `resolve` ends the unfinished branches by hand: with `participant` in
/// the filter those of that one alone, with `parked` those alone that are shown to people. Each says in
/// its history who did it, why and by which job; the audit has the job.
#[utoipa::path(
    post,
    operation_id = "begin_job",
    path = "/v1/jobs",
    tag = "operator",
    request_body = JobRequest,
    responses(
        (status = 200, body = MatchedView, description = "A dry run: what would be found."),
        (status = 202, body = BegunJobView, description = "The job is begun, durably, and goes on.", headers(("Location" = String))),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 413, body = Problem, content_type = PROBLEM_JSON, description = "`payload-too-large`"),
        (status = 415, body = Problem, content_type = PROBLEM_JSON, description = "`unsupported-media-type`"),
        (status = 429, body = Problem, content_type = PROBLEM_JSON, description = "`too-many-requests`: 100 jobs are unfinished"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn begin(
    State(api): State<Arc<Api>>,
    Query(()): Query<()>,
    caller: Caller,
    Body(request): Body<JobRequest>,
) -> Result<Response, Failure> {
    let filter = request.filter.clone();
    let query = job_query(&filter)?;
    let job = check_job(request, matches_all(&query, api.clock.now().wall))?;
    if job.dry_run {
        return Ok(Json(api.jobs.matched(query).await?).into_response());
    }
    let id = api.jobs.begin(job, filter, &caller).await?;
    let mut response = (StatusCode::ACCEPTED, Json(BegunJobView { id })).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/jobs/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
