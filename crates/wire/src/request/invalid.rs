//! What is wrong with a request.

use std::fmt;

use thiserror::Error;

use crate::ProblemCode;
use crate::request::pointer::Pointer;

/// A request that cannot be met as it stands. Values of headers never appear in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {what}")]
pub struct Invalid {
    /// The field, by path from the body's root: `branches[1].headers.host`.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
    /// Whether its size is what is wrong (413 rather than 400).
    pub too_large: bool,
    /// The field's place in the document, where it has one.
    pub pointer: Option<Pointer>,
}

impl Invalid {
    /// This field is not as it must be.
    pub fn new(field: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self { field: field.to_string(), what: what.to_string(), too_large: false, pointer: None }
    }

    /// This field is longer than it may be. The request may be fine otherwise.
    pub fn too_large(field: impl fmt::Display, len: usize, limit: usize) -> Self {
        let what = format!("must be at most {limit} bytes long, this has {len}");
        Self { field: field.to_string(), what, too_large: true, pointer: None }
    }

    /// The same, with its place in the document.
    #[must_use]
    pub fn at(self, pointer: Pointer) -> Self {
        Self { pointer: Some(pointer), ..self }
    }

    /// The kind of problem it is told as.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        if self.too_large { ProblemCode::PayloadTooLarge } else { ProblemCode::InvalidRequest }
    }
}
