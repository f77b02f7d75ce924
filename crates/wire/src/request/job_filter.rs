//! Which transactions a job is to find, as the contract describes it.

use std::collections::BTreeMap;

use crate::Pattern;

/// Which transactions a job is to find: the filters of the list, of which every one that is given must
/// hold. So it is described; it is read as the list's parameters are.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({"participant": "127.0.0.1:7302", "parked": true}))]
#[expect(dead_code, reason = "it describes, and is read field by field elsewhere")]
pub(super) struct JobFilter {
    /// Any of these, with commas between: `trying`, `confirming`, `cancelling`. Default: all three.
    #[schema(
        pattern = "^(trying|confirming|cancelling)(,(trying|confirming|cancelling))*$",
        example = "confirming,cancelling"
    )]
    status: Option<String>,
    /// `true`: only those that need people. `false` asks for nothing.
    parked: Option<bool>,
    /// Whether they were begun open.
    open: Option<bool>,
    /// Only those with a branch of this `host:port`.
    #[schema(max_length = 259, pattern = "^.+:[0-9]{1,5}$", example = "127.0.0.1:7302")]
    participant: Option<String>,
    /// Of this shape.
    pattern: Option<Pattern>,
    /// Cancelled for any of these, with commas between: `try-refused`, `try-failed`, `deadline`,
    /// `requested`, `operator`, `check`.
    #[schema(example = "deadline,check")]
    reason: Option<String>,
    /// How their gids begin, by byte: 1 to 128 of a gid's letters.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]+$", example = "order-")]
    gid_prefix: Option<String>,
    /// Begun at this time or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_after: Option<String>,
    /// Begun before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_before: Option<String>,
    /// `metadata.KEY`, any number of them: whose metadata have this value under the key.
    #[serde(flatten)]
    metadata: BTreeMap<String, FilteredMetadata>,
}

/// What metadata have under a key.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes, and is read elsewhere")]
pub(super) enum FilteredMetadata {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// A truth.
    Bool(bool),
}
