//! An operator's word about a branch.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::BranchId;
use crate::operator::Operator;
use crate::request::invalid::Invalid;
use crate::status::ResolvedAs;
use crate::text::without_nul;

/// The longest note, in bytes.
const NOTE_BYTES: usize = 1_024;

/// Ends a branch by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// What the branch is to count as. It need not be what was decided.
    #[serde(rename = "as")]
    pub as_: ResolvedAs,
    /// Why, for the history. At most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 1024, example = "booked by hand, ticket 4711")
    )]
    pub note: Option<String>,
}

/// Checks an operator's word about a branch.
///
/// # Errors
/// The note is too long.
pub fn check_resolve(
    request: ResolveRequest,
    branch: BranchId,
    by: Operator,
) -> Result<Resolution, Invalid> {
    let ResolveRequest { as_, note } = request;
    Ok(Resolution { branch, as_, note: check_note(note)?, by })
}

/// Why somebody does something, as it is kept.
///
/// # Errors
/// It is too long.
pub(super) fn check_note(note: Option<String>) -> Result<Option<Arc<str>>, Invalid> {
    if let Some(note) = note.as_deref().filter(|note| note.len() > NOTE_BYTES) {
        let what = format!("must be at most {NOTE_BYTES} bytes long, this has {}", note.len());
        return Err(Invalid::new("note", what));
    }
    Ok(note.map(|note| Arc::from(without_nul(&note))))
}

/// An operator's word about a branch that does not get on by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// Which branch.
    pub branch: BranchId,
    /// What it is to count as.
    pub as_: ResolvedAs,
    /// Why, in the operator's words.
    pub note: Option<Arc<str>>,
    /// Who says so, for history and audit.
    pub by: Operator,
}
