//! `PATCH /v1/transactions/{gid}/branches/{id}`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use tercet_engine::{Ask, Until};
use tercet_wire::{Problem, ReaddressRequest, TransactionView, check_readdress};

use crate::http::extract::acting::Acting;
use crate::http::extract::body::Body;
use crate::http::extract::gid_path::BranchPath;
use crate::http::extract::params::Query;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// Have a branch called elsewhere
///
/// An unfinished branch whose participant has moved, whose URL was wrong, or whose token has ended: every call
/// from now on goes where this says, with these headers. What is not given stays; legs that it does not have
/// stay away. A call that is on its way is not cut off. Breaker and backoff begin anew. Recorded with who, why,
/// before and after, in the history and in the audit: hosts and names of headers, never values. Repeats of begin
/// and of registrations are compared with what was begun.
#[utoipa::path(
    patch,
    path = "/v1/transactions/{gid}/branches/{id}",
    tag = "operator",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        ("id" = String, Path, description = "Which branch."),
    ),
    request_body = ReaddressRequest,
    responses(
        (status = 200, body = TransactionView, description = "It is called there from now on, durably.", headers(("Tercet-Status" = String))),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found` or `branch-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`already-finished`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `owner-unreachable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn readdress(
    State(api): State<Arc<Api>>,
    BranchPath(gid, id): BranchPath,
    Query(()): Query<()>,
    Acting(by): Acting,
    Body(request): Body<ReaddressRequest>,
) -> Result<Response, Failure> {
    let word = check_readdress(request, id, by, &api.limits)?;
    let ask = Ask::Readdress(Box::new(word));
    let reply = api.engine.ask(gid.clone(), ask, Until::Accepted, Duration::ZERO).await;
    reply::transaction(reply, &gid)
}
