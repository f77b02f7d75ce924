//! `GET /v1/sagas`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tercet_wire::{ListedSagaView, Page, Problem, SagaName, hex, unhex};

use crate::http::extract::filter::Paging;
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::state::Api;

/// List definitions of sagas
///
/// By name, each with its newest version; retired ones too.
#[utoipa::path(
    get,
    operation_id = "list_sagas",
    path = "/v1/sagas",
    tag = "sagas",
    params(Paging),
    responses(
        (status = 200, body = Page<ListedSagaView>, description = "A page."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ListedSagaView>>, Failure> {
    let after = paging.cursor(name_in)?;
    let limit = paging.limit();
    // One more than asked for, so that one knows whether a page follows.
    let listed = api.sagas.list(after.as_ref(), limit.saturating_add(1)).await;
    let listed = listed.map_err(Failure::about_saga)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = listed.len() > limit;
    let shown = listed.into_iter().take(limit).map(|saga| ListedSagaView {
        retired_at: saga.retired.then_some(saga.at),
        name: saga.name,
        version: saga.version,
    });
    let items: Vec<ListedSagaView> = shown.collect();
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| hex(format!("saga/{}", last.name).as_bytes()));
    Ok(Json(Page { items, next_cursor }))
}

fn name_in(cursor: &str) -> Result<SagaName, &'static str> {
    let plain = unhex(cursor).and_then(|bytes| String::from_utf8(bytes).ok());
    let name = plain.as_deref().and_then(|plain| plain.strip_prefix("saga/"));
    let name = name.and_then(|name| name.parse().ok());
    name.ok_or("must be the next_cursor of a previous page")
}
