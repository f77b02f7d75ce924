//! The `{id}` of a job's path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use tercet_wire::{ActId, Invalid, ProblemCode};

use crate::http::response::problem::Failure;

/// An id that can be a job's.
#[derive(Debug)]
pub(in crate::http) struct JobPath(pub(in crate::http) ActId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        // What does not decode to UTF-8 is no id either.
        let Path(text) = text.map_err(|_| Invalid::new("id", "must be UTF-8"))?;
        let none = || {
            let id: String = text.chars().take(64).collect();
            Failure::new(ProblemCode::JobNotFound, format!("no job {id} is known here"))
        };
        // What is no id at all is nobody's.
        text.parse().map(Self).map_err(|_| none())
    }
}
