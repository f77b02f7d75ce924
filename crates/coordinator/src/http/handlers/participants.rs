//! `GET /v1/participants`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{ParticipantView, ParticipantsView, Problem};

use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Show the participants
///
/// How each `host:port` that was called not long ago answers this node.
#[utoipa::path(
    get,
    path = "/v1/participants",
    tag = "operator",
    responses(
        (status = 200, body = ParticipantsView, description = "By name."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
    ),
)]
pub(in crate::http) async fn participants(
    State(api): State<Arc<Api>>,
    Query(()): Query<()>,
) -> Result<Json<ParticipantsView>, Failure> {
    let mut items: Vec<_> = (api.participants)().into_iter().map(ParticipantView::from).collect();
    items.sort_by(|a, b| a.participant.cmp(&b.participant));
    Ok(Json(ParticipantsView { items }))
}
