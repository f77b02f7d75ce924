//! `GET /v1/stats`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use tercet_journal::JournalSummary;
use tercet_wire::{NodeView, Now, Problem, ProblemCode, RestoredView, StatsView, Status};

use crate::cluster::Sightings;
use crate::http::extract::params::Query;
use crate::http::handlers::list::synced;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// Show what there is
///
/// Counted in the journal, so it is the same whichever node is asked, and not older than
/// anything that was told before.
#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "operator",
    responses(
        (status = 200, body = StatsView, description = "At this moment."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn stats(
    State(api): State<Arc<Api>>,
    Query(()): Query<()>,
) -> Result<Json<StatsView>, Failure> {
    synced(&api).await?;
    let summary = api
        .journal
        .summary(api.clock.now().wall)
        .await
        .map_err(|error| Failure::unreadable(&error))?;
    let Some(census) = api.engine.census().await else {
        let detail = "the engine has stopped; ask again";
        return Err(Failure::new(ProblemCode::JournalUnavailable, detail));
    };
    Ok(Json(view(summary, census.quarantined, &api.nodes, api.clock.now())))
}

fn view(summary: JournalSummary, quarantined: usize, seen: &Sightings, now: Now) -> StatsView {
    let count = |status: Status| summary.by_status.get(&status).copied().unwrap_or(0);
    let quarantined = u64::try_from(quarantined).unwrap_or(u64::MAX);
    let nodes = summary.nodes.into_iter().map(|node| NodeView {
        id: node.node_id,
        url: node.url,
        state: node.state,
        owned: node.owned,
        unchanged_ms: seen.unchanged_for(node.incarnation, now.mono).map(in_millis),
        protocol: node.protocol,
        since: node.started_at,
    });
    StatsView {
        by_status: Status::ALL.iter().map(|status| (*status, count(*status))).collect(),
        parked: summary.parked,
        oldest_unfinished_seconds: summary
            .oldest_unfinished
            .map(|begun| now.wall.since(begun).as_secs_f64()),
        // One whose status is no word of ours is not driven either.
        quarantined: quarantined.saturating_add(summary.of_no_status),
        restored: summary.held.map(|held| RestoredView {
            held_since: held.since,
            held: held.transactions,
            open: held.open,
            past_deadline: held.past_deadline,
            release_cancels: held.release_cancels,
            sample: held.sample,
        }),
        nodes: nodes.collect(),
    }
}

fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
