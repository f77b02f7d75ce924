//! `DELETE /v1/sagas/{name}`.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tercet_wire::Problem;

use crate::access::Caller;
use crate::http::extract::params::Query;
use crate::http::extract::saga_path::SagaPath;
use crate::http::handlers::sagas::asked;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Retire a saga's definition
///
/// Runs that have begun go on, and their repeats are answered; no new ones are begun of any version
/// that there is. Nothing is deleted. Safe to repeat.
#[utoipa::path(
    delete,
    operation_id = "retire_saga",
    path = "/v1/sagas/{name}",
    tag = "sagas",
    params(("name" = String, Path, description = "Which definition.")),
    responses(
        (status = 204, description = "It is retired."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`saga-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn retire(
    State(api): State<Arc<Api>>,
    SagaPath(name): SagaPath,
    Query(()): Query<()>,
    caller: Caller,
) -> Result<StatusCode, Failure> {
    let retired = api.sagas.retire(&name, &asked(&api, &caller)).await;
    retired.map_err(Failure::about_saga)?;
    Ok(StatusCode::NO_CONTENT)
}
