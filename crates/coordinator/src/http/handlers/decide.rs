//! `POST /v1/transactions/{gid}/confirm` and `/cancel`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use tercet_engine::{Ask, HeldDecision};
use tercet_wire::{
    Arrival, CancelRequest, Invalid, Op, Problem, TransactionView, check_cancel, header,
    refused_begin,
};

use crate::access::{Caller, Role};
use crate::http::extract::body::OptionalBody;
use crate::http::extract::gid_path::GidPath;
use crate::http::extract::params::{FromParams, Params, Query};
use crate::http::extract::wait::DecisionWait;
use crate::http::response::problem::{Failure, PROBLEM_JSON};
use crate::http::response::reply;
use crate::http::state::Api;
use utoipa::IntoParams;

/// Confirm takes nothing; a body with fields is a mistake worth naming.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ConfirmRequest {}

/// Of a cancel that may come before its begin.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct IfUnknown {
    /// `refuse`: where nobody knows the gid, no begin that comes later is to run.
    #[param(rename = "if_unknown", value_type = Option<String>, pattern = "^(refuse)$")]
    refuse: Option<()>,
}

impl FromParams for IfUnknown {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        Ok(Self { refuse: params.take_word("if_unknown", &[("refuse", ())])? })
    }
}

/// Of a transaction that is held since the database was restored.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DespiteHold {
    /// `true`: decide it although it is held, which takes the role operator.
    #[param(rename = "despite_hold", value_type = Option<bool>)]
    is_said: bool,
}

impl FromParams for DespiteHold {
    fn take(params: &mut Params) -> Result<Self, Invalid> {
        let words = [("true", true), ("false", false)];
        Ok(Self { is_said: params.take_word("despite_hold", &words)?.unwrap_or(false) })
    }
}

impl DespiteHold {
    /// What is asked instead, where an operator says so.
    fn ask(&self, op: Op, ask: Ask, (api, caller): (&Api, &Caller)) -> Result<Ask, Failure> {
        if !self.is_said {
            return Ok(ask);
        }
        caller.may(Role::Operator).map_err(|denied| Failure::denied(&denied))?;
        let note = match ask {
            Ask::Cancel { detail, .. } => detail,
            _ => None,
        };
        let by = caller.acts(api.clock.new_act());
        Ok(Ask::DecideHeld(Box::new(HeldDecision { op, note, by })))
    }
}

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
        DespiteHold,
    ),
    responses(
        (status = 200, body = TransactionView, description = "What was waited for has come.", headers(("Tercet-Status" = String))),
        (status = 202, body = TransactionView, description = "The wait ran out first; the transaction goes on."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 403, body = Problem, content_type = PROBLEM_JSON, description = "`forbidden`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`already-cancelled`, `tries-outstanding` or `not-open`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `owner-unreachable`, `held`, `not-accepted` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn confirm(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    Query((wait, despite)): Query<(DecisionWait, DespiteHold)>,
    caller: Caller,
    OptionalBody(ConfirmRequest {}): OptionalBody<ConfirmRequest>,
) -> Result<Response, Failure> {
    let wait = wait.wait();
    let ask = despite.ask(Op::Confirm, Ask::Confirm, (api.as_ref(), &caller))?;
    let reply = api.engine.ask(gid.clone(), ask, wait.until, wait.within).await;
    reply::transaction(reply, &gid)
}

/// Ask for cancel
///
/// Of any transaction that is not decided. Safe to repeat. One that nobody has begun is not found,
/// unless `if_unknown` says what to do then.
#[utoipa::path(
    post,
    path = "/v1/transactions/{gid}/cancel",
    tag = "transactions",
    params(
        ("gid" = String, Path, description = "Which transaction."),
        DecisionWait,
        IfUnknown,
        DespiteHold,
    ),
    request_body(content = Option<CancelRequest>, description = "May be absent."),
    responses(
        (status = 200, body = TransactionView, description = "What was waited for has come.", headers(("Tercet-Status" = String))),
        (status = 201, body = TransactionView, description = "Nobody had begun it. It is recorded as cancelled: every begin of this gid is answered with it."),
        (status = 202, body = TransactionView, description = "The wait ran out first; the transaction goes on."),
        (status = 400, body = Problem, content_type = PROBLEM_JSON, description = "`invalid-request`"),
        (status = 403, body = Problem, content_type = PROBLEM_JSON, description = "`forbidden`"),
        (status = 404, body = Problem, content_type = PROBLEM_JSON, description = "`transaction-not-found`"),
        (status = 409, body = Problem, content_type = PROBLEM_JSON, description = "`already-confirmed`"),
        (status = 503, body = Problem, content_type = PROBLEM_JSON, description = "`journal-unavailable`, `owner-unreachable`, `held`, `not-accepted` or `shutting-down`"),
    ),
)]
pub(in crate::http) async fn cancel(
    State(api): State<Arc<Api>>,
    GidPath(gid): GidPath,
    Query((wait, (if_unknown, despite))): Query<(DecisionWait, (IfUnknown, DespiteHold))>,
    headers: HeaderMap,
    caller: Caller,
    OptionalBody(request): OptionalBody<CancelRequest>,
) -> Result<Response, Failure> {
    let wait = wait.wait();
    let detail = check_cancel(request)?;
    let if_unknown = if_unknown.refuse.map(|()| {
        let traceparent = headers.get(header::TRACEPARENT).and_then(|value| value.to_str().ok());
        let (instance, at) = (api.new_instance(), api.clock.now().wall);
        Arc::new(refused_begin(gid.clone(), &Arrival { instance, at, traceparent }))
    });
    let ask =
        despite.ask(Op::Cancel, Ask::Cancel { detail, if_unknown }, (api.as_ref(), &caller))?;
    let reply = api.engine.ask(gid.clone(), ask, wait.until, wait.within).await;
    reply::transaction(reply, &gid)
}
