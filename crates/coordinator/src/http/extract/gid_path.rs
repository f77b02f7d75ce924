//! The `{gid}` and `{id}` of a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use tercet_wire::{BranchId, Gid, Invalid};

use crate::http::response::problem::Failure;

/// A gid that is one. What can be no gid is the caller's mistake (400) and not a
/// transaction that is missing (404), so that a client does not take its own bug for an answer.
#[derive(Debug)]
pub(in crate::http) struct GidPath(pub(in crate::http) Gid);

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

/// A branch of a transaction, likewise.
#[derive(Debug)]
pub(in crate::http) struct BranchPath(pub(in crate::http) Gid, pub(in crate::http) BranchId);

impl<S: Send + Sync> FromRequestParts<S> for BranchPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let text = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((gid, id)) = text.map_err(|_| Invalid::new("gid, id", "must be UTF-8"))?;
        let gid = gid.parse().map_err(|error| Invalid::new("gid", error))?;
        let id = id.parse().map_err(|error| Invalid::new("id", error))?;
        Ok(Self(gid, id))
    }
}
