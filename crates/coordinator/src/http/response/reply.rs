//! From the engine's replies to answers that say yes; `problem` has those that say no.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tercet_engine::{Reply, ReplyKind, Snapshot};
use tercet_wire::{BranchView, BranchesView, Gid, RegisteredView, Status, header as wire_header};

use crate::access::Role;
use crate::http::response::problem::Failure;
use crate::telemetry::about;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// As long as the answer about two branches is, and longer.
const USUAL_BYTES: usize = 2 * 1_024;

/// The transaction, with the status that says whether what was waited for has come.
pub(in crate::http) fn transaction(reply: Reply, gid: &Gid) -> Result<Response, Failure> {
    let (told, snapshot) = snapshot_of(reply, gid)?;
    let view = snapshot.view();
    let status = view.summary.status;
    Ok(with_status(json(status_of(told), &view), status))
}

/// The transaction as it was read, for somebody of this role.
pub(in crate::http) fn read(snapshot: &Snapshot, role: Role) -> Response {
    let mut view = snapshot.view();
    if role < Role::Client {
        // What participants have answered is as little a viewer's as what they were sent.
        view.branches.iter_mut().for_each(|branch| branch.result = None);
    }
    let status = view.summary.status;
    with_status(json(StatusCode::OK, &view), status)
}

/// The same with what each branch is sent, for operators.
pub(in crate::http) fn with_payloads(snapshot: &Snapshot) -> Response {
    let view = snapshot.view_with_payloads();
    let status = view.summary.status;
    with_status(json(StatusCode::OK, &view), status)
}

/// The branch that was registered, or those that were at once, likewise.
pub(in crate::http) fn branches(reply: Reply, gid: &Gid) -> Result<Response, Failure> {
    let (told, snapshot, view) = match reply {
        Reply::Branch { told, snapshot, branch } => {
            let view = snapshot.branch_view(&branch);
            (told, snapshot, view.map(|view| RegisteredView::One(Box::new(view))))
        }
        Reply::Branches { told, snapshot, branches } => {
            let views = branches.iter().map(|id| snapshot.branch_view(id)).collect();
            let branches: Option<Vec<BranchView>> = views;
            let view = branches.map(|branches| RegisteredView::Several(BranchesView { branches }));
            (told, snapshot, view)
        }
        Reply::Refused(refusal) => return Err(Failure::refused(refusal, gid)),
        Reply::Transaction { snapshot, .. } => return Err(misfit(&snapshot)),
    };
    let Some(view) = view else { return Err(misfit(&snapshot)) };
    let status = snapshot.transaction.status();
    Ok(with_status(json(status_of(told), &view), status))
}

/// The transaction as it was read.
pub(in crate::http) fn snapshot_of(
    reply: Reply,
    gid: &Gid,
) -> Result<(ReplyKind, Snapshot), Failure> {
    match reply {
        Reply::Transaction { told, snapshot } => Ok((told, snapshot)),
        Reply::Refused(refusal) => Err(Failure::refused(refusal, gid)),
        Reply::Branch { snapshot, .. } | Reply::Branches { snapshot, .. } => Err(misfit(&snapshot)),
    }
}

/// Adds where the transaction is found, seen from where it was begun: whatever a proxy has put
/// before the path stays before it.
pub(in crate::http) fn with_location(mut response: Response, at: &str, gid: &Gid) -> Response {
    // A gid has only characters that a header, and a segment of a path, may have.
    if let Ok(location) = HeaderValue::try_from([at, "/", gid.as_str()].concat()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Written into a `Vec`: it comes in pieces of a few bytes, and for these axum's own buffer takes as long as all the rest.
fn json(status: StatusCode, view: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut body, view) {
        Ok(()) => (status, [(header::CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => {
            tracing::error!(event = "answer_unwritable", %error, "an answer cannot be written as JSON");
            Failure::internal().into_response()
        }
    }
}

fn with_status(mut response: Response, status: Status) -> Response {
    let name = HeaderName::from_static(wire_header::STATUS);
    response.headers_mut().insert(name, HeaderValue::from_static(status.as_str()));
    response
}

fn status_of(told: ReplyKind) -> StatusCode {
    match told {
        ReplyKind::Created => StatusCode::CREATED,
        ReplyKind::Reached => StatusCode::OK,
        ReplyKind::NotYet => StatusCode::ACCEPTED,
    }
}

fn misfit(snapshot: &Snapshot) -> Failure {
    let spec = snapshot.transaction.spec();
    about!(&**spec => error!(event = "reply_mismatched", "the engine's reply does not fit what it was asked"));
    Failure::internal().about(&spec.gid)
}
