//! How this crate says over HTTP that something was not done: RFC 9457, with a code for programs.

#[cfg(feature = "sea-orm")]
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct ProblemBody<'a> {
    code: &'a str,
    status: u16,
    detail: &'a str,
}

/// An answer with a code and a sentence.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = ProblemBody { code, status: status.as_u16(), detail };
    let media_type = HeaderValue::from_static("application/problem+json");
    (status, [(header::CONTENT_TYPE, media_type)], Json(body)).into_response()
}

/// The same with the least pause before the next call, in seconds.
pub(crate) fn with_retry_after(seconds: u64, answer: Response) -> Response {
    let name: HeaderName = header::RETRY_AFTER;
    ([(name, HeaderValue::from(seconds))], answer).into_response()
}

/// `Retry-After` has whole seconds; a pause is never shortened.
#[cfg(feature = "sea-orm")]
pub(crate) fn whole_seconds(pause: Duration) -> u64 {
    pause.as_secs() + u64::from(pause.subsec_nanos() > 0)
}
