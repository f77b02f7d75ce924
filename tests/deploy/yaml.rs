//! YAML as JSON values, and the few ways of looking into them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Every document of a text; empty ones are left out.
pub(crate) fn documents(what: &str, text: &str) -> Vec<Value> {
    let all: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{what}: {error}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

/// The one document of a text.
pub(crate) fn document(what: &str, text: &str) -> Value {
    let mut all = documents(what, text);
    assert_eq!(all.len(), 1, "{what}");
    all.remove(0)
}

/// A text; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number; zero where there is none.
pub(crate) fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// A list; empty where there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Texts by name, such as labels; empty where there are none.
pub(crate) fn texts(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let object = value.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    object.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().into())).collect()
}

/// The list of texts at this place, as a command is.
pub(crate) fn words(value: &Value, pointer: &str) -> Vec<String> {
    list(value, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
