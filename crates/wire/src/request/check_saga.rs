//! Checks of definitions of sagas, and of what runs them: a run is a begin like any other, whose
//! branches stand in the definition.

use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::ids::Instance;
use crate::request::check::{Arrival, CheckedBegin, NO_PAYLOAD, check_begin, timeout_ms};
use crate::request::pointer::{Pointer, pointer_to};
use crate::request::saga::{RunRequest, SagaRequest, StepRequest};
use crate::request::{fingerprint, json};
use crate::spec::{Fingerprint, SagaVersion, TransactionOptions};
use crate::status::Pattern;
use crate::time::Wall;
use crate::{BeginRequest, BranchRequest, Invalid, Limits};

/// Bytes of an `input_schema` as compact JSON.
const SCHEMA_BYTES: usize = 65_536;
/// Whether this is the definition of a saga. What its `input_schema` says is not looked at.
///
/// # Errors
/// The first field found that is not as the contract says, with its place in the document.
pub fn check_saga(request: &SagaRequest, limits: &Limits) -> Result<(), Invalid> {
    begun(request, limits).map(|_| ())
}

/// Says whether two definitions are the same: defaults filled in, whatever order fields came in.
///
/// # Errors
/// As [`check_saga`].
pub fn saga_content(request: &SagaRequest, limits: &Limits) -> Result<Fingerprint, Invalid> {
    let begun = begun(request, limits)?;
    let schema = request.input_schema.as_ref().map(json::canonical);
    Ok(fingerprint::of_saga(&begun.spec.fingerprint, schema.as_deref()))
}

/// Checks what is to be a run of this version of a definition; whether its input fits the
/// `input_schema` was looked at before.
///
/// # Errors
/// The first field found that is not as the contract says.
pub fn check_run(
    request: RunRequest,
    saga: SagaVersion,
    definition: &SagaRequest,
    limits: &Limits,
    arrival: &Arrival<'_>,
) -> Result<CheckedBegin, Invalid> {
    let (bytes, steps) = (input_of(&request).len(), definition.steps.len().max(1));
    if bytes.saturating_mul(steps) > RUN_BYTES {
        let too_large = Invalid::too_large("input", bytes, RUN_BYTES / steps);
        return Err(too_large.at(Pointer::root().field("input")));
    }
    let RunRequest { gid, input, metadata, version: _ } = request;
    let begin = begin(definition, input.as_deref(), gid, metadata);
    let mut checked =
        check_begin(begin, limits, arrival).map_err(|invalid| of_run(&saga, invalid))?;
    checked.spec.fingerprint =
        fingerprint::of_run(&checked.spec.fingerprint, saga.name.as_str(), saga.version);
    checked.spec.options =
        TransactionOptions { saga: Some(saga), ..TransactionOptions::default() }.unless_empty();
    Ok(checked)
}

/// Bytes of the payloads of a run together: each of its steps has the input.
const RUN_BYTES: usize = 4 << 20;

/// A run without input, which nobody has asked for.
fn begun(request: &SagaRequest, limits: &Limits) -> Result<CheckedBegin, Invalid> {
    if let Some(schema) = &request.input_schema {
        let length = json::canonical(schema).len();
        if length > SCHEMA_BYTES {
            let what = format!("must be at most {SCHEMA_BYTES} bytes of JSON, this has {length}");
            return Err(
                Invalid::new("input_schema", what).at(Pointer::root().field("input_schema"))
            );
        }
    }
    if request.steps.is_empty() {
        let what = "is required: a saga has at least one step";
        return Err(Invalid::new("steps", what).at(Pointer::root().field("steps")));
    }
    for (position, step) in request.steps.iter().enumerate() {
        check_step(step, position)?;
    }
    let arrival = Arrival { instance: Instance::new(Uuid::nil()), at: Wall(0), traceparent: None };
    check_begin(begin(request, None, None, None), limits, &arrival).map_err(in_document)
}

/// What a branch has no word for, or would fill in.
fn check_step(step: &StepRequest, position: usize) -> Result<(), Invalid> {
    let place = Pointer::root().field("steps").item(position);
    if step.id.is_none() {
        let invalid = Invalid::new(format!("steps[{position}].id"), "is required");
        return Err(invalid.at(place.field("id")));
    }
    Ok(())
}

fn begin(
    definition: &SagaRequest,
    input: Option<&RawValue>,
    gid: Option<String>,
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
) -> BeginRequest {
    BeginRequest {
        gid,
        pattern: Some(Pattern::Saga),
        branches: definition.steps.iter().map(|step| branch(step, input)).collect(),
        open: None,
        timeout_ms: definition.timeout_ms,
        metadata,
        ..BeginRequest::default()
    }
}

fn branch(step: &StepRequest, input: Option<&RawValue>) -> BranchRequest {
    BranchRequest {
        id: step.id.clone(),
        endpoint: step.endpoint.clone(),
        action: step.action.clone(),
        confirm: step.confirm.clone(),
        compensate: step.compensate.clone(),
        payload: input.map(RawValue::to_owned),
        headers: step.headers.clone(),
        timeout_ms: step.timeout_ms,
        after: step.after.clone(),
        try_attempts: step.try_attempts,
        confirm_after_ms: step.confirm_after_ms,
        results: Some(true),
        ..BranchRequest::default()
    }
}

/// A problem of the begin that a definition stands for, as one of the definition.
fn in_document(invalid: Invalid) -> Invalid {
    let field = steps_for_branches(&invalid.field);
    let pointer = pointer_to(&field);
    Invalid { field, ..invalid }.at(pointer)
}

/// The same of a run: what its body says has a place there, what the definition says has none.
fn of_run(saga: &SagaVersion, invalid: Invalid) -> Invalid {
    if invalid.field.ends_with("].payload") {
        return Invalid { field: "input".to_owned(), ..invalid }.at(Pointer::root().field("input"));
    }
    if !invalid.field.starts_with("branches") {
        let pointer = pointer_to(&invalid.field);
        return invalid.at(pointer);
    }
    let field = steps_for_branches(&invalid.field);
    let SagaVersion { name, version } = saga;
    Invalid { field: format!("{field} of version {version} of {name}"), ..invalid }
}

fn steps_for_branches(field: &str) -> String {
    match field.strip_prefix("branches") {
        Some(rest) => format!("steps{rest}"),
        None => field.to_owned(),
    }
}

/// The payload of each step of a run.
#[must_use]
pub fn input_of(request: &RunRequest) -> &str {
    request.input.as_deref().map_or(NO_PAYLOAD, RawValue::get)
}

impl SagaRequest {
    /// How long a run may stay undecided, in milliseconds.
    #[must_use]
    pub fn timeout_ms(&self) -> u64 {
        self.timeout_ms.unwrap_or_else(|| timeout_ms(Pattern::Saga))
    }

    /// As it is stored: equal definitions give equal text.
    #[must_use]
    pub fn canonical(&self) -> Arc<str> {
        // Texts, numbers and JSON: there is nothing in it that JSON could not say.
        let value = serde_json::to_value(self).unwrap_or_default();
        Arc::from(json::canonical(&value))
    }
}

#[cfg(test)]
#[path = "check_saga_tests.rs"]
mod tests;
