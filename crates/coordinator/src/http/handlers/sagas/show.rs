//! `GET /v1/sagas/{name}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{Invalid, Problem, SagaView};
use utoipa::IntoParams;

use crate::http::extract::params::{FromParams, Params, Query};
use crate::http::extract::saga_path::SagaPath;
use crate::http::handlers::sagas::view;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Which version.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct VersionParam {
    /// Which version. Default: the newest.
    #[param(minimum = 1)]
    version: Option<u32>,
}

impl FromParams for VersionParam {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok(Self { version: params.take_number("version", 1..=u32::MAX)? })
    }
}

/// Show a saga's definition
///
/// Its newest version, or the one that is asked for; retired ones too. Of headers only the names are
/// shown.
#[utoipa::path(
    get,
    operation_id = "show_saga",
    path = "/v1/sagas/{name}",
    tag = "sagas",
    params(("name" = String, Path, description = "Which definition."), VersionParam),
    responses(
        (status = 200, body = SagaView, description = "A version of it."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`saga-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn show(
    State(api): State<Arc<Api>>,
    SagaPath(name): SagaPath,
    Query(VersionParam { version }): Query<VersionParam>,
) -> Result<Json<SagaView>, Failure> {
    let found = api.sagas.version(&name, version).await.map_err(Failure::about_saga)?;
    Ok(Json(view(&found)))
}
