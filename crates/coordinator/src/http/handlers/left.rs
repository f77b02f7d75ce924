//! `POST /internal/v1/left`: another node on the same database says that it has left, so that nobody
//! needs to find it out.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, Method, StatusCode, Uri};
use tercet_wire::ProblemCode;

use crate::cluster::{LEFT, Passed};
use crate::http::response::problem::Failure;
use crate::http::state::Api;

/// Looks at the lives of all nodes at once. For whoever is no node there is nothing here.
pub(in crate::http) async fn left(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<StatusCode, Failure> {
    let passed = Passed { method: &Method::POST, target: LEFT, who: "", role: "" };
    let forwarder = api.forwarder.as_ref();
    match forwarder {
        Some(forwarder) if forwarder.pass_of(&headers, &passed).is_ok() => {
            forwarder.look_now();
            Ok(StatusCode::NO_CONTENT)
        }
        Some(_) | None => {
            let detail = format!("there is no {}; see /docs", uri.path());
            Err(Failure::new(ProblemCode::NotFound, detail))
        }
    }
}
