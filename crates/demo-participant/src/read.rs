//! Read APIs: what a service's tables hold, as JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sea_orm::DbErr;
use serde::Serialize;

/// The rows, or that they cannot be read now.
pub(crate) fn rows<T: Serialize>(read: Result<Vec<T>, DbErr>) -> Response {
    match read {
        Ok(rows) => Json(rows).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
