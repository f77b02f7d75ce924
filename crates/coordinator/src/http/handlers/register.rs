//! `POST /v1/transactions/{gid}/branches`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tercet_engine::Ask;
use tercet_wire::{Problem, RegisterRequest, RegisteredView, check_branch, check_branches};

use crate::http::extract::body::AnyBody;
use crate::http::extract::gid_path::GidPath;
use crate::http::extract::params::Query;
use crate::http::extract::wait::BranchWait;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// Register a branch, or several at once
///
/// Of an open transaction that is not decided. Tercet calls its Try if it has one; a
/// refused Try cancels the transaction. Idempotent by the branch's `id`. An array of 1 to 64 is
/// registered as a whole or not at all, and answered when all of them are tried or one is refused; a
/// repeat must have the same array. What is wrong with one of them is told with its place: `[2].after`.
#[utoipa::path(
    post,
    path = "/v1/transactions/{gid}/branches",
    tag = "transactions",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        BranchWait,
    ),
    request_body = RegisterRequest,
    responses(
        (status = 201, body = RegisteredView, description = "Registered; `tried` or `refused` once its Try was answered. Of an array: what was waited for was reached by all of them.",
            headers(("Tercet-Status" = String))),
        (status = 200, body = RegisteredView, description = "A repeat, likewise."),
        (status = 202, body = RegisteredView, description = "The wait ran out first."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON,
            description = "`branch-reused`, `already-confirmed`, `already-cancelled` or `not-open`"),
        (status = 413, body = Problem, content_type = PROBLEM_JSON, description = "`payload-too-large`"),
        (status = 415, body = Problem, content_type = PROBLEM_JSON, description = "`unsupported-media-type`"),
        (status = 429, body = Problem, content_type = PROBLEM_JSON, description = "`too-many-requests`",
            headers(("Retry-After" = u32))),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `owner-unreachable`, `not-accepted` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn register(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    Query(wait): Query<BranchWait>,
    AnyBody(request): AnyBody<RegisterRequest>,
) -> Result<Response, Failure> {
    let wait = wait.wait();
    let ask = match request {
        RegisterRequest::One(branch) => {
            Ask::Register(Box::new(check_branch(*branch, &api.limits)?))
        }
        RegisterRequest::Several(branches) => {
            Ask::RegisterAtOnce(check_branches(branches, &api.limits)?)
        }
    };
    let reply = api.engine.ask(gid.clone(), ask, wait.until, wait.within).await;
    reply::branches(reply, &gid)
}
