//! Text from outside, as it is kept.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// U+0000 is a character that some databases, and most programs for people, cannot hold: in its
/// place stands U+FFFD, which says that something was there.
#[must_use]
pub fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Likewise in all names and texts of an object.
pub(crate) fn object_without_nul(object: &mut Map<String, Value>) {
    if object.keys().any(|key| key.contains('\0')) {
        let fields = std::mem::take(object).into_iter();
        *object = fields.map(|(key, value)| (without_nul(&key).into_owned(), value)).collect();
    }
    object.values_mut().for_each(value_without_nul);
}

fn value_without_nul(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(replaced) = without_nul(text) {
                *text = replaced;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(value_without_nul),
        Value::Object(object) => object_without_nul(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_database_holds_is_replaced_wherever_it_stands() {
        assert_eq!(without_nul("a\0b\0"), "a\u{fffd}b\u{fffd}");
        assert!(matches!(without_nul("plain"), Cow::Borrowed("plain")));
        let given = r#"{"a\u0000":["x\u0000",{"b":"\u0000"}],"c":1}"#;
        let mut object: Map<String, Value> = serde_json::from_str(given).expect("JSON");
        object_without_nul(&mut object);
        let text = serde_json::to_string(&object).expect("JSON");
        assert_eq!(text, "{\"a\u{fffd}\":[\"x\u{fffd}\",{\"b\":\"\u{fffd}\"}],\"c\":1}");
    }
}
