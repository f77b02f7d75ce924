//! `POST /v1/participants/{participant}/pause` and `/resume`; and the word between nodes that somebody
//! has asked for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::json;
use tercet_engine::Act;
use tercet_wire::{
    Action, Invalid, ParticipantName, PauseRequest, PausedParticipantView, Problem, ProblemCode,
    check_pause,
};

use crate::access::Caller;
use crate::cluster::{PAUSED, Passed};
use crate::http::extract::body::OptionalBody;
use crate::http::extract::params::Query;
use crate::http::extract::participant_path::ParticipantPath;
use crate::http::handlers::participants::shown;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;
use crate::pauses::{PauseError, pause_of};

/// How long the other nodes may take to read who is paused.
const TELLING: Duration = Duration::from_secs(1);

/// Pause a participant
///
/// No node calls it from now on, across restarts, until it is resumed; a call under way is not cut off.
/// Its branches wait without failing, Tries up to their deadline, and are not shown to people meanwhile.
/// One that was never called is paused too: it may come later. Safe to repeat; who said it first and
/// why stays, and `changed` is false.
#[utoipa::path(
    post,
    path = "/v1/participants/{participant}/pause",
    tag = "operator",
    params(("participant" = String, Path, description = "Which: `host:port`, as its URLs have it.")),
    request_body(content = Option<PauseRequest>, description = "May be absent."),
    responses(
        (status = 200, body = PausedParticipantView, description = "It is paused, durably."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn pause(
    State(api): State<Arc<Api>>,
    ParticipantPath(participant): ParticipantPath,
    Query(()): Query<()>,
    caller: Caller,
    OptionalBody(request): OptionalBody<PauseRequest>,
) -> Result<Json<PausedParticipantView>, Failure> {
    set(&api, participant, true, &caller, request).await
}

/// Resume a participant
///
/// It is called again: what waits for it at once, as its limits allow, also what has failed before, unless it has
/// asked for a pause itself. Safe to repeat.
#[utoipa::path(
    post,
    path = "/v1/participants/{participant}/resume",
    tag = "operator",
    params(("participant" = String, Path, description = "Which: `host:port`, as its URLs have it.")),
    request_body(content = Option<PauseRequest>, description = "May be absent."),
    responses(
        (status = 200, body = PausedParticipantView, description = "It is called again."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn resume(
    State(api): State<Arc<Api>>,
    ParticipantPath(participant): ParticipantPath,
    Query(()): Query<()>,
    caller: Caller,
    OptionalBody(request): OptionalBody<PauseRequest>,
) -> Result<Json<PausedParticipantView>, Failure> {
    set(&api, participant, false, &caller, request).await
}

async fn set(
    api: &Api,
    participant: ParticipantName,
    paused: bool,
    caller: &Caller,
    request: PauseRequest,
) -> Result<Json<PausedParticipantView>, Failure> {
    let act = Act {
        id: api.clock.new_act(),
        at: api.clock.now().wall,
        who: Arc::clone(&caller.who),
        role: Arc::from(caller.role.as_str()),
        action: if paused { Action::Pause } else { Action::Resume },
        gid: None,
        branch: None,
        note: check_pause(request)?,
        detail: Arc::from(json!({ "participant": participant.as_str() }).to_string()),
    };
    let pause = pause_of(&participant, paused, &act);
    let changed = api.pauses.set(act, pause).await.map_err(|error| match error {
        PauseError::TooMany => Invalid::new("participant", error).into(),
        PauseError::Unwritten(error) => Failure::unwritten(&error),
    })?;
    if let Some(forwarder) = &api.forwarder {
        let others = forwarder.others(TELLING).await;
        forwarder.tell(PAUSED, others, TELLING).await;
    }
    let name = participant.to_string();
    let participant = shown(api, Some(name.as_str())).await?.pop().ok_or_else(Failure::internal)?;
    let known = participant.calls > 0 || participant.in_flight > 0 || participant.waiting > 0;
    Ok(Json(PausedParticipantView { participant, known, changed }))
}

/// Reads who is paused. For whoever is no node there is nothing here.
pub(in crate::http) async fn paused(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<StatusCode, Failure> {
    let passed = Passed { method: &Method::POST, target: PAUSED, who: "", role: "" };
    match api.forwarder.as_ref() {
        Some(forwarder) if forwarder.pass_of(&headers, &passed).is_ok() => {
            let read = api.pauses.read_again().await;
            read.map_err(|error| Failure::unreadable(&error))?;
            Ok(StatusCode::NO_CONTENT)
        }
        Some(_) | None => {
            let detail = format!("there is no {}; see /docs", uri.path());
            Err(Failure::new(ProblemCode::NotFound, detail))
        }
    }
}
