//! The `{participant}` of a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use tercet_wire::{Invalid, ParticipantName};

use crate::http::response::problem::Failure;

/// A name that can be one of a participant: `host:port`.
#[derive(Debug)]
pub(in crate::http) struct ParticipantPath(pub(in crate::http) ParticipantName);

impl<S: Send + Sync> FromRequestParts<S> for ParticipantPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        // What does not decode to UTF-8 is no name either.
        let Path(text) = text.map_err(|_| Invalid::new("participant", "must be UTF-8"))?;
        let name = text.parse().map_err(|error| Invalid::new("participant", error))?;
        Ok(Self(name))
    }
}
