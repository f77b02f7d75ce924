//! The `{name}` of a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use tercet_wire::{Invalid, SagaName};

use crate::http::response::problem::Failure;

/// A name that can be one of a saga's definition.
#[derive(Debug)]
pub(in crate::http) struct SagaPath(pub(in crate::http) SagaName);

impl<S: Send + Sync> FromRequestParts<S> for SagaPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        // What does not decode to UTF-8 is no name either.
        let Path(text) = text.map_err(|_| Invalid::new("name", "must be UTF-8"))?;
        let name = text.parse().map_err(|error| Invalid::new("name", error))?;
        Ok(Self(name))
    }
}
