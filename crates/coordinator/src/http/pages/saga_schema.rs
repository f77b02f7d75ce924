//! `GET /schemas/saga.json`: what a definition of a saga looks like, for editors and other tools.

use axum::response::IntoResponse;
use http::{HeaderValue, header};

use crate::http::pages::page::AS_IT_SAYS;

/// JSON Schema 2020-12; a test holds it to what is taken.
pub(crate) const SAGA_SCHEMA: &str = include_str!("../../../assets/saga.schema.json");

/// The document's own schema.
pub(in crate::http) async fn saga_schema() -> impl IntoResponse {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
    ([kind, AS_IT_SAYS], SAGA_SCHEMA)
}
