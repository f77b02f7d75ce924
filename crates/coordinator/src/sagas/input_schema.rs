//! What the input of a run must be like. JSON Schema is the crate's to understand; what it may
//! take, and what may stand in one, is said here.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Value, json};
use tercet_wire::Pointer;

use super::Wrong;
use super::shape::{MOST_STEPS, Shape, TooMuch};

/// Bytes of one regular expression when it is made ready to be asked.
const REGEX_BYTES: usize = 512 << 10;
/// Bytes that it may take while it is asked.
const REGEX_CACHE_BYTES: usize = 1 << 20;
/// Parts of a schema that are looked at without leaving the thread that has asked.
const FEW_STEPS: u64 = 2_000;
/// Letters of what is told about a value.
const MOST_TOLD: usize = 300;

/// A schema, ready to be asked.
pub(crate) struct InputSchema {
    validator: Validator,
    shape: Shape,
}

impl InputSchema {
    /// Makes one ready. It may take a while, and a deep stack.
    pub(super) fn of(schema: &Value) -> Result<Self, Wrong> {
        let shape = Shape::of(schema)?;
        if shape.takes(&json!({}), MOST_STEPS).is_err() {
            let what = "leads back to itself, or asks for more work than may be spent on a value";
            return Err(Wrong::new(Pointer::root(), what));
        }
        let patterns =
            PatternOptions::regex().size_limit(REGEX_BYTES).dfa_size_limit(REGEX_CACHE_BYTES);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(patterns)
            .build(schema);
        match validator {
            Ok(validator) => Ok(Self { validator, shape }),
            // What is looked at is the schema itself, by the schema of all schemas.
            Err(error) => Err(wrong(&error)),
        }
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.shape.weight()
    }

    /// Whether so little is to be done for this value that it can be done at once.
    pub(super) fn is_quick(&self, input: &Value) -> bool {
        self.shape.takes(input, FEW_STEPS).is_ok()
    }

    /// Whether a value is what it must be.
    pub(super) fn check(&self, input: &Value) -> Result<(), Wrong> {
        if let Err(TooMuch) = self.shape.takes(input, MOST_STEPS) {
            let what = "takes more work to check against its schema than may be spent on it";
            return Err(Wrong::new(Pointer::root(), what));
        }
        self.validator.validate(input).map_err(|error| wrong(&error))
    }
}

impl std::fmt::Debug for InputSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InputSchema").finish_non_exhaustive()
    }
}

/// What is wrong and where; of what is missing, and of what is too much, where it is or would be.
fn wrong(error: &ValidationError<'_>) -> Wrong {
    let place = Pointer::root().within(error.instance_path().as_str());
    let place = match error.kind() {
        ValidationErrorKind::Required { property } => match property.as_str() {
            Some(property) => place.field(property),
            None => place,
        },
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => match unexpected.first() {
            Some(unexpected) => place.field(unexpected),
            None => place,
        },
        _ => place,
    };
    let told: String = what(error).chars().take(MOST_TOLD).collect();
    Wrong::new(place, told)
}

fn what(error: &ValidationError<'_>) -> String {
    match error.kind() {
        // Of several that would do, what each of them has against it.
        ValidationErrorKind::AnyOf { context } => {
            let each: Vec<String> =
                context.iter().filter_map(|errors| errors.first()).map(what).collect();
            match each.is_empty() {
                true => error.masked_with("it").to_string(),
                false => each.join(", and "),
            }
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            "it is no regular expression, without look-around and back-references and not too large"
                .to_owned()
        }
        // Inputs can be large, and are nobody's to see but the participants'.
        _ => error.masked_with("it").to_string(),
    }
}
