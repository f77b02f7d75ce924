//! `GET /v1/participants`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_engine::{ParticipantHealth, WaitingFor};
use tercet_wire::{ParticipantView, ParticipantsView, Problem, ProblemCode};

use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Show the participants
///
/// How each `host:port` that was called not long ago answers this node, how many branches wait for it,
/// and whether an operator has paused it.
#[utoipa::path(
    get,
    path = "/v1/participants",
    tag = "operator",
    responses(
        (status = 200, body = ParticipantsView, description = "By name."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn participants(
    State(api): State<Arc<Api>>,
    Query(()): Query<()>,
) -> Result<Json<ParticipantsView>, Failure> {
    Ok(Json(ParticipantsView { items: shown(&api, None).await? }))
}

/// This one, or all that are called or paused, by name.
pub(in crate::http) async fn shown(
    api: &Api,
    one: Option<&str>,
) -> Result<Vec<ParticipantView>, Failure> {
    let mut all = (api.participants)();
    let uncalled = match one {
        Some(one) => vec![one.to_owned()],
        None => api.pauses.names(),
    };
    for name in uncalled {
        if !all.iter().any(|health| health.participant == name) {
            all.push(ParticipantHealth::uncalled(name));
        }
    }
    all.retain(|health| one.is_none_or(|one| health.participant == one));
    if all.is_empty() {
        return Ok(Vec::new());
    }
    all.sort_by(|a, b| a.participant.cmp(&b.participant));
    let names = all.iter().map(|health| health.participant.clone()).collect();
    let Some(waiting_for) = api.engine.waiting_for(names).await else {
        let detail = "the engine has stopped; ask again";
        return Err(Failure::new(ProblemCode::JournalUnavailable, detail));
    };
    let nobody = WaitingFor::default();
    let items = all.into_iter().map(|health| {
        let waiting_for = waiting_for.get(&health.participant).unwrap_or(&nobody);
        let paused = api.pauses.of(&health.participant);
        ParticipantView { paused, ..health.view(waiting_for) }
    });
    Ok(items.collect())
}
