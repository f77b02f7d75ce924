//! Definitions of sagas as they are put, and what begins a run of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::Object;
use crate::request::number::{exact, whole};

/// The definition of a saga: what its runs have in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SagaRequest {
    /// What the input of a run must be like: JSON Schema 2020-12, at most 64 KiB, without `$ref` to
    /// anything outside it. Default: whatever it is like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub input_schema: Option<serde_json::Value>,
    /// How long a run may stay undecided, in milliseconds: 100 to 2 592 000 000. Default 3 600 000.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 100, maximum = 2_592_000_000_u64))]
    pub timeout_ms: Option<u64>,
    /// The steps; each comes after the one before it unless it says otherwise.
    #[serde(default, deserialize_with = "objects")]
    #[cfg_attr(feature = "openapi", schema(required = true, min_items = 1, max_items = 64))]
    pub steps: Vec<StepRequest>,
}

/// A step of a saga's definition: a branch of each of its runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StepRequest {
    /// Unique in the definition; 1 to 64 of `[A-Za-z0-9._:-]`, beginning with a letter or digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(
            value_type = String,
            required = true,
            min_length = 1,
            max_length = 64,
            pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
            example = "flight"
        )
    )]
    pub id: Option<String>,
    /// URL of the step itself. Absent: nothing to do before the point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub action: Option<String>,
    /// URL of what undoes it. Absent: there is nothing to undo, or no way to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub compensate: Option<String>,
    /// URL of what is called once every step is done; alone: a step after the point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub confirm: Option<String>,
    /// Short for `{endpoint}/try`, `{endpoint}/confirm` and `{endpoint}/cancel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2048, pattern = "^https?://"))]
    pub endpoint: Option<String>,
    /// Ids of the steps that come before it. Default: the one before it in the list. `[]`: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>, max_items = 64))]
    pub after: Option<Vec<String>>,
    /// The longest one call may take, in milliseconds: 10 to 600 000. Default: the setting
    /// `dispatcher.call_timeout_ms`.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 10, maximum = 600_000))]
    pub timeout_ms: Option<u64>,
    /// Calls of its action that may fail before the run is cancelled: 0 to 1 000; 0: until the
    /// deadline, which is the default.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1_000))]
    pub try_attempts: Option<u64>,
    /// How long after the decision its `confirm` is called, in milliseconds: 0 to 2 592 000 000.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 2_592_000_000_u64))]
    pub confirm_after_ms: Option<u64>,
    /// Headers sent with every call; treated as secrets: only their names are ever shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
}

/// Begins a run of a saga.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Makes it idempotent, as of any begin. Default: a new UUIDv7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(
            min_length = 1,
            max_length = 128,
            pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
            example = "trip-1001"
        )
    )]
    pub gid: Option<String>,
    /// What the run is about: each step's payload, to the byte as it came. It fits the version's
    /// `input_schema`. Default `{}`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub input: Option<Box<RawValue>>,
    /// The initiator's own data; at most 4 KiB.
    #[serde(default, deserialize_with = "exact", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// Which version of the definition. Default: the newest; of a repeat that which the gid runs
    /// with.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub version: Option<u64>,
}

fn objects<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<StepRequest>, D::Error> {
    // `null` is how some languages write an empty list.
    let steps = Option::<Vec<Object<StepRequest>>>::deserialize(from)?;
    Ok(steps.unwrap_or_default().into_iter().map(|Object(step)| step).collect())
}

/// An input of `null` is an input, unlike an absent one.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}
