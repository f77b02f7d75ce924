//! An answer as it is kept.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

/// Says that an answer is not from the handler but from the store.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a client is told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    pub(super) status: StatusCode,
    /// Those that were chosen to be kept.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl KeptAnswer {
    /// Of an answer that is about to be given.
    pub(super) fn of(
        status: StatusCode,
        headers: &HeaderMap,
        chosen: &[HeaderName],
        body: Bytes,
    ) -> Self {
        let headers = chosen
            .iter()
            .flat_map(|name| {
                headers.get_all(name).iter().map(|value| (name.clone(), value.clone()))
            })
            .collect();
        Self { status, headers, body }
    }

    /// The answer again.
    pub(super) fn replay(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// Whether an answer settles the matter. What a client is meant to try again is not kept: the next request with the
/// key runs the handler again.
pub(super) fn is_final(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}
