//! `POST /v1/transactions/{gid}/confirm` and `/cancel`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tercet_engine::Ask;
use tercet_wire::{CancelRequest, Problem, TransactionView, check_cancel};

use crate::http::extract::body::OptionalBody;
use crate::http::extract::gid_path::GidPath;
use crate::http::extract::params::Query;
use crate::http::extract::wait::DecisionWait;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// Confirm takes nothing; a body with fields is a mistake worth naming.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ConfirmRequest {}

/// Ask for confirm
///
/// Of an open transaction whose Tries have all succeeded. Safe to repeat.
#[utoipa::path(
    post,
    path = "/v1/transactions/{gid}/confirm",
    tag = "transactions",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        DecisionWait,
    ),
    responses(
        (status = 200, body = TransactionView, description = "What was waited for has come.", headers(("Tercet-Status" = String))),
        (status = 202, body = TransactionView, description = "The wait ran out first; the transaction goes on."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`already-cancelled`, `tries-outstanding` or `not-open`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `not-accepted` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn confirm(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    Query(wait): Query<DecisionWait>,
    OptionalBody(ConfirmRequest {}): OptionalBody<ConfirmRequest>,
) -> Result<Response, Failure> {
    let wait = wait.wait();
    let reply = api.engine.ask(gid.clone(), Ask::Confirm, wait.until, wait.within).await;
    reply::transaction(reply, &gid)
}

/// Ask for cancel
///
/// Of any transaction that is not decided. Safe to repeat.
#[utoipa::path(
    post,
    path = "/v1/transactions/{gid}/cancel",
    tag = "transactions",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        DecisionWait,
    ),
    request_body(content = Option<CancelRequest>, description = "May be absent."),
    responses(
        (status = 200, body = TransactionView, description = "What was waited for has come.", headers(("Tercet-Status" = String))),
        (status = 202, body = TransactionView, description = "The wait ran out first; the transaction goes on."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`already-confirmed`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `not-accepted` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn cancel(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    Query(wait): Query<DecisionWait>,
    OptionalBody(request): OptionalBody<CancelRequest>,
) -> Result<Response, Failure> {
    let wait = wait.wait();
    let ask = Ask::Cancel { detail: check_cancel(request)? };
    let reply = api.engine.ask(gid.clone(), ask, wait.until, wait.within).await;
    reply::transaction(reply, &gid)
}
