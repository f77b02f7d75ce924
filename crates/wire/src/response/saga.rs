//! Definitions of sagas as they are shown.

use serde::{Deserialize, Serialize};

use crate::ids::SagaName;
use crate::request::{SagaRequest, StepRequest};
use crate::time::Wall;

/// A version of a saga's definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SagaView {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$", example = "trip"))]
    pub name: SagaName,
    /// Which version this is, from 1.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub version: u32,
    /// When it was put.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Wall,
    /// When it was retired; null where it may be run.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, required = true))]
    pub retired_at: Option<Wall>,
    /// What the input of a run must be like; null where it may be anything.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>, required = true))]
    pub input_schema: Option<serde_json::Value>,
    /// How long a run may stay undecided, in milliseconds.
    pub timeout_ms: u64,
    /// Its steps, in the order in which they were given.
    pub steps: Vec<StepView>,
}

/// A step of a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// Its id.
    #[cfg_attr(
        feature = "openapi",
        schema(
            min_length = 1,
            max_length = 64,
            pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
            example = "flight"
        )
    )]
    pub id: String,
    /// URL of the step itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// URL of what undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<String>,
    /// URL of what is called once every step is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Short for the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Ids of the steps that come before it; absent: the one before it in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub after: Option<Vec<String>>,
    /// The longest one call may take, in milliseconds, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How often its action may fail, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_attempts: Option<u64>,
    /// How long after the decision its `confirm` is called, in milliseconds, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_after_ms: Option<u64>,
    /// Names of the headers that its calls have; their values are nobody's to see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

/// A name in the list of definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedSagaView {
    /// The name.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$", example = "trip"))]
    pub name: SagaName,
    /// Its newest version.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub version: u32,
    /// When it was retired; null where it may be run.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, required = true))]
    pub retired_at: Option<Wall>,
}

impl SagaView {
    /// A version as it is shown.
    #[must_use]
    pub fn of(
        name: SagaName,
        version: u32,
        (created_at, retired_at): (Wall, Option<Wall>),
        definition: SagaRequest,
    ) -> Self {
        let timeout_ms = definition.timeout_ms();
        let SagaRequest { input_schema, steps, .. } = definition;
        let steps = steps.into_iter().map(StepView::from).collect();
        Self { name, version, created_at, retired_at, input_schema, timeout_ms, steps }
    }
}

impl From<StepRequest> for StepView {
    fn from(step: StepRequest) -> Self {
        Self {
            id: step.id.unwrap_or_default(),
            action: step.action,
            compensate: step.compensate,
            confirm: step.confirm,
            endpoint: step.endpoint,
            after: step.after,
            timeout_ms: step.timeout_ms,
            try_attempts: step.try_attempts,
            confirm_after_ms: step.confirm_after_ms,
            headers: step.headers.unwrap_or_default().into_keys().collect(),
        }
    }
}
