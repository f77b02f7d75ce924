//! `POST /v1/transactions/{gid}/retry`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tercet_engine::{Ask, Until};
use tercet_wire::{Problem, TransactionView};

use crate::http::extract::acting::ActingInPart;
use crate::http::extract::body::OptionalBody;
use crate::http::extract::gid_path::GidPath;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// A retry takes nothing; a body with fields is a mistake worth naming.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RetryRequest {}

/// Call now what is waiting
///
/// Every branch that waits for its next call is called at once, without a second call beside
/// one under way, but none whose participant is paused: that one is called once it is resumed, and
/// the answer says `paused` of it. Of a finished transaction there is nothing to call. Safe to repeat;
/// each time is an entry of the audit.
#[utoipa::path(
    post,
    path = "/v1/transactions/{gid}/retry",
    tag = "operator",
    params(("gid" = String, Path, description = "Which transaction.")),
    responses(
        (status = 200, body = TransactionView, description = "What waited is being called, unless it is `paused`.", headers(("Tercet-Status" = String))),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `owner-unreachable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn retry(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    ActingInPart(by): ActingInPart,
    OptionalBody(RetryRequest {}): OptionalBody<RetryRequest>,
) -> Result<Response, Failure> {
    let ask = Ask::Retry { by };
    let reply = api.engine.ask(gid.clone(), ask, Until::Accepted, Duration::ZERO).await;
    reply::transaction(reply, &gid)
}
