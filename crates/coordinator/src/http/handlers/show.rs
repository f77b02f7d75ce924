//! `GET /v1/transactions/{gid}`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use tercet_engine::{Ask, Snapshot};
use tercet_wire::{Problem, TransactionView};

use crate::access::{Caller, Role};
use crate::http::extract::gid_path::GidPath;
use crate::http::extract::include::Include;
use crate::http::extract::params::Query;
use crate::http::extract::wait::ReadWait;
use crate::http::middleware::forwarding::FromRows;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// Show a transaction
///
/// With its branches. Can wait until it is decided or finished; the answer is 200
/// whether that came or the wait ran out, and `status` says which. `include=payload` shows operators what
/// each branch is sent, and where its calls go.
#[utoipa::path(
    get,
    path = "/v1/transactions/{gid}",
    tag = "transactions",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        ReadWait,
        Include,
    ),
    responses(
        (status = 200, body = TransactionView, description = "As it stands.", headers(("Tercet-Status" = String))),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 403, body = Problem, content_type = PROBLEM_JSON, description = "`forbidden`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable` or `owner-unreachable`"),
    ),
)]
pub(in crate::http) async fn show(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    Query((wait, include)): Query<(ReadWait, Include)>,
    from_rows: Option<Extension<FromRows>>,
    caller: Caller,
) -> Result<Response, Failure> {
    if include.payload() {
        caller.may(Role::Operator).map_err(|denied| Failure::denied(&denied))?;
    }
    let shown = |snapshot: &Snapshot| match include.payload() {
        true => reply::with_payloads(snapshot),
        false => reply::read(snapshot, caller.role),
    };
    if let Some(Extension(FromRows(snapshot))) = from_rows {
        return Ok(shown(&snapshot));
    }
    let wait = wait.wait();
    let reply = api.engine.ask(gid.clone(), Ask::Read, wait.until, wait.within).await;
    let (_, snapshot) = reply::snapshot_of(reply, &gid)?;
    Ok(shown(&snapshot))
}
