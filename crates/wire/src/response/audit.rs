//! What the audit shows.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ActId, BranchId, Gid};
use crate::time::Wall;

/// What an operator did: a row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntryView {
    /// Its own id, a UUID.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ActId,
    /// When it was done.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Wall,
    /// The name of the token or JWT, else the address.
    #[cfg_attr(feature = "openapi", schema(example = "alice"))]
    pub who: String,
    /// What role they had.
    #[cfg_attr(feature = "openapi", schema(example = "operator"))]
    pub role: String,
    /// What was done. Of a newer node it may be a word that is not listed here.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::status::Action))]
    pub action: String,
    /// To which transaction; null where it was to no single one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required = true))]
    pub gid: Option<Gid>,
    /// To which branch, if one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required = true))]
    pub branch: Option<BranchId>,
    /// Why, in the operator's words.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub note: Option<String>,
    /// What belongs to the action: of `resolve` what the branch is to count as, in `as`; of `retry` how
    /// many calls were made at once for it, in `calls`; of `retry-all` the `filter`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub detail: Map<String, Value>,
}
