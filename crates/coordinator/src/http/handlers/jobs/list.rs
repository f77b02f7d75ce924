//! `GET /v1/jobs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{ActId, ListedJobView, Page, Problem, hex, unhex};

use crate::http::extract::filter::Paging;
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// List jobs
///
/// Those begun last first, of all nodes. A job that has ended is kept for `retention.jobs_days`.
#[utoipa::path(
    get,
    operation_id = "list_jobs",
    path = "/v1/jobs",
    tag = "operator",
    params(Paging),
    responses(
        (status = 200, body = Page<ListedJobView>, description = "A page."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ListedJobView>>, Failure> {
    let before = paging.cursor(job_in)?;
    let limit = paging.limit();
    // One more than asked for, so that one knows whether a page follows.
    let mut items = api.jobs.list(before, limit.saturating_add(1)).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| hex(format!("job/{}", last.id).as_bytes()));
    Ok(Json(Page { items, next_cursor }))
}

fn job_in(cursor: &str) -> Result<ActId, &'static str> {
    let plain = unhex(cursor).and_then(|bytes| String::from_utf8(bytes).ok());
    let id = plain.as_deref().and_then(|plain| plain.strip_prefix("job/"));
    let id = id.and_then(|id| id.parse().ok());
    id.ok_or("must be the next_cursor of a previous page")
}
