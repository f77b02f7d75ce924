//! `PUT /v1/sagas/{name}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tercet_wire::{Problem, SagaRequest, SagaView};

use crate::access::Caller;
use crate::http::extract::document::Document;
use crate::http::extract::params::Query;
use crate::http::extract::saga_path::SagaPath;
use crate::http::handlers::sagas::{asked, view};
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;
use crate::sagas::Put;

/// Put a saga's definition
///
/// A new version, unless the newest has the same content; runs that have begun go on with theirs.
/// After the name was retired it may be run again, from the next version on. A problem about a place in
/// the document names it by `pointer`. The document's own JSON Schema is at `/schemas/saga.json`.
#[utoipa::path(
    put,
    operation_id = "put_saga",
    path = "/v1/sagas/{name}",
    tag = "sagas",
    params(("name" = String, Path, description = "Which definition.")),
    request_body = SagaRequest,
    responses(
        (status = 201, body = SagaView, description = "A new version."),
        (status = 200, body = SagaView, description = "The newest version has this content."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 413, body = Problem, content_type = PROBLEM_JSON, description = "`payload-too-large`"),
        (status = 415, body = Problem, content_type = PROBLEM_JSON, description = "`unsupported-media-type`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn put(
    State(api): State<Arc<Api>>,
    SagaPath(name): SagaPath,
    Query(()): Query<()>,
    caller: Caller,
    Document(request): Document<SagaRequest>,
) -> Result<Response, Failure> {
    let put = api.sagas.put(&name, request, &api.limits, &asked(&api, &caller)).await;
    let Put { found, is_new } = put.map_err(Failure::about_saga)?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(&found))).into_response())
}
