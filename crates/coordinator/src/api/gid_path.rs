//! The `{gid}` of a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use tercet_protocol::Gid;
use tercet_protocol::wire::Invalid;

use crate::api::problem::Failure;

/// A gid that is one. What can be no gid is the caller's mistake (400) and not a
/// transaction that is missing (404), so that a client does not take its own bug for an answer.
#[derive(Debug)]
pub(super) struct GidPath(pub(super) Gid);

impl<S: Send + Sync> FromRequestParts<S> for GidPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        // What does not decode to UTF-8 is no gid either.
        let Path(text) = text.map_err(|_| Invalid::new("gid", "must be UTF-8"))?;
        let gid = text.parse().map_err(|error| Invalid::new("gid", error))?;
        Ok(Self(gid))
    }
}
