//! `GET /v1/transactions/{gid}/events`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use tercet_engine::{Ask, HistoryEvent, Until};
use tercet_wire::{CallOp, EventKind, EventView, Op, Page, Problem, Status, SummaryView, Wall};
use tracing::Instrument as _;

use crate::http::extract::filter::Paging;
use crate::http::extract::gid_path::GidPath;
use crate::http::extract::params::Query;
use crate::http::middleware::forwarding::FromRows;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;
use crate::telemetry::About;

/// Show a transaction's history
///
/// Oldest first: begin, decision and end, and between them what did not go as it should, and the
/// way of a saga's steps.
#[utoipa::path(
    get,
    path = "/v1/transactions/{gid}/events",
    tag = "transactions",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        Paging,
    ),
    responses(
        (status = 200, body = Page<EventView>, description = "A page."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn events(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    Query(paging): Query<Paging>,
    from_rows: Option<Extension<FromRows>>,
) -> Result<Json<Page<EventView>>, Failure> {
    let given = paging.cursor(lines_given)?.unwrap_or(0);
    let snapshot = match from_rows {
        Some(Extension(FromRows(snapshot))) => snapshot,
        None => {
            let asked = api.engine.ask(gid.clone(), Ask::Read, Until::Accepted, Duration::ZERO);
            Arc::new(reply::snapshot_of(asked.await, &gid)?.1)
        }
    };
    // A transaction's history is bounded, so all of it is read and the page cut here. It is
    // as new as the snapshot: that was let out only after its lines were durable.
    let about = About::from(&**snapshot.transaction.spec()).span();
    let stored = api.journal.history(&gid, 0, api.history_lines).instrument(about).await;
    let stored = stored.map_err(|error| Failure::unreadable(&error))?;
    Ok(Json(page(lines(&snapshot.view().summary, stored), given, paging.limit() as usize)))
}

/// The cursor of this list: how many lines were given. New lines come after old ones.
fn lines_given(text: &str) -> Result<usize, &'static str> {
    let invalid = "must be the next_cursor of a previous page";
    text.strip_prefix('n').and_then(|number| number.parse().ok()).ok_or(invalid)
}

fn page(mut lines: Vec<EventView>, given: usize, limit: usize) -> Page<EventView> {
    let end = given.saturating_add(limit);
    let next_cursor = (lines.len() > end).then(|| format!("n{end}"));
    lines.truncate(end);
    lines.drain(..given.min(lines.len()));
    Page { items: lines, next_cursor }
}

/// What the transaction itself tells (only what left the happy path is stored as a
/// line), and the stored lines in their own order between.
fn lines(summary: &SummaryView, stored: Vec<HistoryEvent>) -> Vec<EventView> {
    let mut lines = vec![own_line(summary.created_at, EventKind::Begun, None)];
    lines.extend(stored.into_iter().map(|happening| EventView {
        at: happening.at,
        kind: happening.kind,
        branch: happening.branch,
        op: happening.op,
        attempt: happening.attempt,
        detail: happening.detail.map(|detail| detail.to_string()),
    }));
    if let Some(at) = summary.decided_at {
        // What led to it may be of the same millisecond, and so may what it led to.
        let later = |line: &EventView| {
            let tells_it = matches!(line.op, Some(CallOp::Leg(Op::Confirm | Op::Cancel)))
                || line.kind == EventKind::Resolved;
            line.kind != EventKind::Begun && (line.at > at || tells_it)
        };
        let place = lines.iter().position(later).unwrap_or(lines.len());
        lines.insert(place, own_line(at, EventKind::Decided, Some(decision(summary))));
    }
    if let Some(at) = summary.finished_at {
        let line = own_line(at, EventKind::Finished, Some(summary.status.to_string()));
        lines.insert(end_of(&lines, at), line);
    }
    lines
}

/// Where the end stands: after all that led to it. Whatever a call that was still under way says
/// afterwards comes later.
fn end_of(lines: &[EventView], at: Wall) -> usize {
    let said_after = |line: &&EventView| line.kind == EventKind::Contradicted && line.at >= at;
    lines.len() - lines.iter().rev().take_while(said_after).count()
}

fn own_line(at: Wall, kind: EventKind, detail: Option<String>) -> EventView {
    EventView { at, kind, branch: None, op: None, attempt: None, detail }
}

fn decision(summary: &SummaryView) -> String {
    match summary.status {
        Status::Confirming | Status::Confirmed => "confirm".to_owned(),
        Status::Trying | Status::Cancelling | Status::Cancelled => {
            let reason = summary.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let detail = summary.reason_detail.as_deref();
            let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("cancel{reason}{detail}")
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
