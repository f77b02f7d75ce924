//! The contract as OpenAPI 3.1, generated from the handlers and the wire types.

use axum::response::IntoResponse;
use http::{HeaderValue, header};
use utoipa::OpenApi;

use crate::http::pages::page::AS_IT_SAYS;

/// What the handlers do not say themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tercet coordinator",
        description = "Coordinates Try–Confirm–Cancel transactions across services.\n\n\
            JSON in and out, UTF-8; times are RFC 3339 in UTC with milliseconds. Unknown fields and parameters \
            are errors that name them. Errors are RFC 9457 problems; each code has a page at `/problems/{code}`.\n\n\
            Who asks sends `Authorization: Bearer` and a token. Roles are `viewer`, `client` and `operator`; each may \
            what the ones before it may."
    ),
    tags(
        (name = "transactions", description = "For initiators and participants"),
        (name = "sagas", description = "Definitions of sagas, and runs of them"),
        (name = "operator", description = "For those who are called when something does not get on"),
        (name = "health", description = "For those who run it"),
    ),
)]
pub(in crate::http) struct Contract;

/// The description for tools, made once at start-up.
pub(in crate::http) fn render(
    contract: &serde_json::Value,
) -> impl IntoResponse + Clone + Send + Sync + 'static + use<> {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([kind, AS_IT_SAYS], contract.to_string())
}
