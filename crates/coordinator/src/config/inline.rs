//! Values given as one text: in an environment variable or a flag.

use toml::{Table, Value};

use crate::config::kind::Kind;

/// Reads the text as a value of this kind: a list or a table as JSON, or as it would stand
/// behind `key =` in a file. What cannot be read as a number or a word stays a text, and the
/// kind says what it must be.
///
/// # Errors
/// It is to be a list or a table and is none. The text is not repeated: it may hold a secret.
pub(super) fn read(kind: &Kind, text: &str) -> Result<Value, String> {
    let read = match kind {
        Kind::Number(..) => text.parse().map(Value::Integer).ok(),
        Kind::Share => text.parse().map(Value::Float).ok(),
        Kind::Boolean => text.parse().map(Value::Boolean).ok(),
        Kind::Text(_) => None,
        Kind::List { .. } | Kind::Table(_) | Kind::Map { .. } => {
            return structured(text).map_err(|why| {
                format!("must be {}, as JSON or as in a settings file: {why}", kind.in_words())
            });
        }
    };
    Ok(read.unwrap_or_else(|| Value::from(text)))
}

fn structured(text: &str) -> Result<Value, String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => Value::try_from(json)
            .map_err(|_| "null, and numbers that need more than 64 bits, are no settings".into()),
        Err(json) => as_in_a_file(text).ok_or_else(|| json.to_string()),
    }
}

fn as_in_a_file(text: &str) -> Option<Value> {
    let mut table: Table = format!("value = {text}").parse().ok()?;
    // More than one key means that the text went on behind its value.
    let value = table.remove("value")?;
    table.is_empty().then_some(value)
}
