//! `POST /v1/transactions/{gid}/branches/{id}/resolve`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tercet_engine::Ask;
use tercet_wire::{Problem, ResolveRequest, TransactionView, check_resolve};

use crate::http::extract::acting::Acting;
use crate::http::extract::body::Body;
use crate::http::extract::gid_path::BranchPath;
use crate::http::extract::params::Query;
use crate::http::extract::wait::ResolutionWait;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// End a branch by hand
///
/// For a branch that will never acknowledge the decision by itself. It is not called any more;
/// if a call is under way, its answer is waited for, two seconds at most, and an acknowledgement
/// that comes before wins (409), and so does an earlier word that says otherwise. Recorded with who and why, in the history and in
/// the audit. It need not be what was decided: then the transaction says `mixed`, and so it does where the call still says otherwise.
#[utoipa::path(
    post,
    path = "/v1/transactions/{gid}/branches/{id}/resolve",
    tag = "operator",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        ("id" = String, Path, description = "Which branch."),
        ResolutionWait,
    ),
    request_body = ResolveRequest,
    responses(
        (status = 200, body = TransactionView, description = "The branch is resolved, durably.", headers(("Tercet-Status" = String))),
        (status = 202, body = TransactionView, description = "A call is still under way. The word is durable and shown as `pending_resolution`; it takes effect within two seconds, also across a restart, unless an acknowledgement comes before."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found` or `branch-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`not-decided` or `already-finished`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `owner-unreachable` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn resolve(
    State(api): State<Arc<Api>>,
    BranchPath(gid, id): BranchPath,
    Query(wait): Query<ResolutionWait>,
    Acting(by): Acting,
    Body(request): Body<ResolveRequest>,
) -> Result<Response, Failure> {
    let wait = wait.wait();
    let ask = Ask::Resolve(Box::new(check_resolve(request, id, by)?));
    let reply = api.engine.ask(gid.clone(), ask, wait.until, wait.within).await;
    reply::transaction(reply, &gid)
}
