//! `POST /v1/restored/release`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tercet_engine::{Act, HoldChange};
use tercet_journal::JournalError;
use tercet_wire::{Action, Invalid, Problem, ReleasedView, without_nul};

use crate::access::Caller;
use crate::http::extract::body::OptionalBody;
use crate::http::extract::params::Query;
use crate::http::handlers::list::synced;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// The most that may be said of why.
const NOTE_BYTES: usize = 1_024;

/// Why it is released.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ReleaseRequest {
    /// Why, for the audit. At most 1 KiB.
    #[schema(max_length = 1024, example = "books compared, ticket 4711")]
    note: Option<String>,
}

/// Release what is held since the database was restored
///
/// What was undecided in the backup goes on: it is called, decided and expires as any other. One
/// whose deadline is over gets one more round of Try first, but for an open one, which is cancelled:
/// `restored` of `GET /v1/stats` counts and names those beforehand. On every node within a second. Safe
/// to repeat; where nothing is held nothing is done.
#[utoipa::path(
    post,
    path = "/v1/restored/release",
    tag = "operator",
    request_body(content = Option<ReleaseRequest>, description = "May be absent."),
    responses(
        (status = 200, body = ReleasedView, description = "It is durable that nothing is held any more."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn release(
    State(api): State<Arc<Api>>,
    Query(()): Query<()>,
    caller: Caller,
    OptionalBody(request): OptionalBody<ReleaseRequest>,
) -> Result<Json<ReleasedView>, Failure> {
    let note = request.note.as_deref();
    if let Some(note) = note.filter(|note| note.len() > NOTE_BYTES) {
        let what = format!("must be at most {NOTE_BYTES} bytes long, this has {}", note.len());
        return Err(Invalid::new("note", what).into());
    }
    synced(&api).await?;
    let unreadable = |error: JournalError| Failure::unreadable(&error);
    let newest = api.journal.hold().await.map_err(unreadable)?;
    let Some(held) = newest.filter(|newest| newest.held_to.is_some()) else {
        return Ok(Json(ReleasedView { released: 0 }));
    };
    let at = api.clock.now().wall;
    let released = api.journal.summary(at).await.map_err(unreadable)?.held;
    let released = released.map_or(0, |held| held.transactions);
    let act = Act {
        id: api.clock.new_act(),
        at,
        who: Arc::clone(&caller.who),
        role: Arc::from(caller.role.as_str()),
        action: Action::Release,
        gid: None,
        branch: None,
        note: note.map(|note| Arc::from(without_nul(note))),
        detail: Arc::from(format!("{{\"held\":{released}}}")),
    };
    let who = Arc::clone(&caller.who);
    let change = HoldChange { number: held.number + 1, held_to: None, at, who };
    match api.journal.release(act, change).await {
        Ok(()) => {}
        // Another has released it in the same moment.
        Err(JournalError::Overtaken) => return Ok(Json(ReleasedView { released: 0 })),
        Err(error) => return Err(Failure::unwritten(&error)),
    }
    api.engine.release().await;
    api.readiness.set_held(false);
    Ok(Json(ReleasedView { released }))
}
