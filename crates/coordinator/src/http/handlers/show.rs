//! `GET /v1/transactions/{gid}`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use tercet_engine::Ask;
use tercet_wire::{Problem, TransactionView};

use crate::http::extract::gid_path::GidPath;
use crate::http::extract::params::Params;
use crate::http::extract::wait::WaitFor;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// Show a transaction
///
/// With its branches. Can wait until it is decided or finished; the answer is 200
/// whether that came or the wait ran out, and `status` says which.
#[utoipa::path(
    get,
    path = "/v1/transactions/{gid}",
    tag = "transactions",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        ("wait" = Option<String>, Query, description = "Wait until it is `decided` or `finished`. Default: do not wait."),
        ("wait_ms" = Option<u32>, Query, description = "For how long, in milliseconds: 0 to 60 000. Default 10 000."),
    ),
    responses(
        (status = 200, body = TransactionView, description = "As it stands.", headers(("Tercet-Status" = String))),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`"),
    ),
)]
pub(in crate::http) async fn show(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    mut params: Params,
) -> Result<Response, Failure> {
    let wait = WaitFor::of_read(&mut params)?;
    params.finish()?;
    let reply = api.engine.ask(gid.clone(), Ask::Read, wait.until, wait.within).await;
    let mut response = reply::transaction(reply, &gid)?;
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}
