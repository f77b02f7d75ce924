//! Types of the contract in words.

use askama::Template;
use serde_json::Value;

/// A JSON schema in words.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "type.html")]
pub(super) enum Type {
    /// One with a name, described on the same page.
    Schema(String),
    /// One of these words.
    Words(Vec<String>),
    /// Any of these.
    Either(Vec<Self>),
    /// A list of such.
    ListOf(Box<Self>),
    /// An object whose keys are free.
    ObjectOf(Box<Self>),
    /// One of JSON's own.
    Named(String),
    /// Whatever JSON there is.
    Any,
}

impl Type {
    pub(super) fn of(schema: &Value) -> Self {
        if let Some(target) = schema["$ref"].as_str() {
            return Self::Schema(target.rsplit('/').next().unwrap_or(target).to_owned());
        }
        if let Some(words) = Self::words(schema) {
            return words;
        }
        let choices = ["oneOf", "anyOf", "allOf"].iter();
        let choices = choices.flat_map(|of| schema[of].as_array().into_iter().flatten());
        let choices: Vec<Self> = choices.map(Self::of).collect();
        if !choices.is_empty() {
            return Self::either(choices);
        }
        let names: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        Self::either(names.into_iter().map(|name| Self::named(name, schema)).collect())
    }

    /// The words that a schema lists, if it does.
    pub(super) fn words(schema: &Value) -> Option<Self> {
        let words = schema["enum"].as_array()?.iter().filter_map(Value::as_str);
        Some(Self::Words(words.map(str::to_owned).collect()))
    }

    fn named(name: &str, schema: &Value) -> Self {
        let values = schema.get("additionalProperties").filter(|values| values.is_object());
        match (name, values) {
            ("array", _) => Self::ListOf(Box::new(Self::of(&schema["items"]))),
            ("object", Some(values)) => Self::ObjectOf(Box::new(Self::of(values))),
            (name, _) => Self::Named(name.to_owned()),
        }
    }

    fn either(mut types: Vec<Self>) -> Self {
        match types.len() {
            0 => Self::Any,
            1 => types.remove(0),
            _ => Self::Either(types),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_told_in_words() {
        for (schema, expected) in [
            (json!({}), "any JSON"),
            (json!({"type": "string"}), "string"),
            (json!({"type": ["integer", "null"]}), "integer or null"),
            (json!({"$ref": "#/components/schemas/A"}), "<a href=\"#A\">A</a>"),
            (json!({"enum": ["a", "<b>"]}), "<code>a</code> <code>&#60;b&#62;</code>"),
            (json!({"type": "array", "items": {"type": "string"}}), "list of string"),
            (json!({"type": "object"}), "object"),
            (
                json!({"type": "object", "additionalProperties": {"$ref": "x/A"}}),
                "object of <a href=\"#A\">A</a>",
            ),
            (json!({"oneOf": [{"type": "null"}, {"$ref": "A"}]}), "null or <a href=\"#A\">A</a>"),
        ] {
            assert_eq!(Type::of(&schema).to_string(), expected, "{schema}");
        }
    }
}
