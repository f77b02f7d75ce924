//! `POST /v1/transactions`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use tercet_engine::Ask;
use tercet_wire::{
    Arrival, BeginRequest, CheckedBegin, Problem, TransactionView, check_begin, header,
};

use crate::http::extract::body::Body;
use crate::http::extract::params::Query;
use crate::http::extract::wait::DecisionWait;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;

/// Begin a transaction
///
/// With branches, Tercet calls every Try, decides, and finishes. Without, or with `open`,
/// branches are registered later and the initiator asks for confirm or cancel. The gid
/// makes it idempotent: the same content again answers with the transaction as it is.
/// An open transaction is answered at once, whatever is to be waited for.
#[utoipa::path(
    post,
    path = "/v1/transactions",
    tag = "transactions",
    params(
        DecisionWait,
        ("traceparent" = Option<String>, Header, description = "W3C trace context, continued in every call to a participant."),
    ),
    request_body = BeginRequest,
    responses(
        (status = 201, body = TransactionView, description = "Begun, and what was waited for has come.",
            headers(("Location" = String), ("Tercet-Status" = String))),
        (status = 200, body = TransactionView, description = "A repeat, and what was waited for has come."),
        (status = 202, body = TransactionView, description = "The wait ran out first; the transaction goes on."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`gid-reused`"),
        (status = 413, body = Problem, content_type = PROBLEM_JSON, description = "`payload-too-large`"),
        (status = 415, body = Problem, content_type = PROBLEM_JSON, description = "`unsupported-media-type`"),
        (status = 429, body = Problem, content_type = PROBLEM_JSON, description = "`too-many-requests`",
            headers(("Retry-After" = u32))),
        (status = 503, body = Problem, content_type = PROBLEM_JSON,
            description = "`journal-unavailable`, `owner-unreachable`, `not-accepted` or `shutting-down`", headers(("Retry-After" = u32))),
    ),
)]
pub(in crate::http) async fn begin(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Query(wait): Query<DecisionWait>,
    Body(request): Body<BeginRequest>,
) -> Result<Response, Failure> {
    let wait = wait.wait();
    let traceparent = headers.get(header::TRACEPARENT).and_then(|value| value.to_str().ok());
    let arrival = Arrival { instance: api.new_instance(), at: api.clock.now().wall, traceparent };
    let CheckedBegin { spec, fresh } = check_begin(request, &api.limits, &arrival)?;
    let gid = spec.gid.clone();
    let ask = Ask::Begin { spec: Arc::new(spec), fresh };
    let reply = api.engine.ask(gid.clone(), ask, wait.until, wait.within).await;
    let response = reply::transaction(reply, &gid)?;
    Ok(reply::with_location(response, "transactions", &gid))
}
