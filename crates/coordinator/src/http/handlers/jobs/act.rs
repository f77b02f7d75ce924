//! `POST /internal/v1/job-act`: a node whose job has come to a transaction asks the one that drives it.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::Uri;
use tercet_wire::ProblemCode;

use crate::http::extract::body::Body;
use crate::http::middleware::passed::PassedOn;
use crate::http::response::problem::Failure;
use crate::http::state::Api;
use crate::jobs::{Came, PassedAct, act_here};

/// Has the job come to it. For whoever is no node there is nothing here.
pub(in crate::http) async fn act(
    State(api): State<Arc<Api>>,
    uri: Uri,
    passed: Option<Extension<PassedOn>>,
    request: Request,
) -> Result<Response, Failure> {
    if passed.is_none() {
        let detail = format!("there is no {}; see /docs", uri.path());
        return Err(Failure::new(ProblemCode::NotFound, detail));
    }
    let Body(PassedAct { gid, act }) = Body::from_request(request, &api).await?;
    let engine = api.engine.clone();
    // Whoever asks may go away, and what it has asked for is done all the same: then it hears so
    // when it asks again.
    let acting = tokio::spawn(async move { act_here(&engine, gid, act).await });
    let came: Came = acting.await.map_err(|_| Failure::internal())?;
    Ok(Json(came).into_response())
}
