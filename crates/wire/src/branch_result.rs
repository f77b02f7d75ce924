//! What a Try was answered with, as it is kept and passed on to those who come after.
//!
//! It is kept as a text that stands in JSON where a value stands, so that it is sent and shown
//! without being read again: the same to the byte, however often.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::ids::BranchId;

/// The most that the body of one answer may have, in bytes.
pub const RESULT_BYTES: usize = 16 * 1024;
/// The most that those of one transaction may have together, in bytes.
pub const RESULTS_BYTES: usize = 256 * 1024;

/// The result of a branch: what its Try was answered with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BranchResult {
    json: Arc<str>,
    body_bytes: u32,
}

impl BranchResult {
    /// That of this body, which alone decides, whatever type it was said to have: itself where it is
    /// JSON; null where there is nothing in it; else a string.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        // No body that is kept is nearly so long.
        let body_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let json = match serde_json::from_slice::<&RawValue>(body).map(|_| str::from_utf8(body)) {
            Ok(Ok(json)) => Arc::from(json),
            Ok(Err(_)) | Err(_) => {
                let text = String::from_utf8_lossy(body);
                match text.trim().is_empty() {
                    true => Arc::from("null"),
                    false => Arc::from(serde_json::Value::from(text).to_string()),
                }
            }
        };
        Self { json, body_bytes }
    }

    /// One that was stored.
    ///
    /// # Errors
    /// It is no JSON, which nothing that was kept is.
    pub fn from_stored(json: &str, body_bytes: u32) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<&RawValue>(json)?;
        Ok(Self { json: Arc::from(json), body_bytes })
    }

    /// As it stands in JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// How long the body was that it was made of.
    #[must_use]
    pub fn body_bytes(&self) -> u32 {
        self.body_bytes
    }

    /// As it is shown.
    #[must_use]
    pub fn view(&self) -> Option<JsonText> {
        JsonText::of(&self.json)
    }
}

/// The body of a call that has results: the payload, and the results by the ids of their branches,
/// all to the byte.
#[must_use]
pub fn body_with_results<'a>(
    payload: &str,
    results: impl IntoIterator<Item = (&'a BranchId, &'a BranchResult)>,
) -> String {
    let mut body = ["{\"payload\":", payload, ",\"results\":{"].concat();
    for (place, (branch, result)) in results.into_iter().enumerate() {
        // An id has no letter that JSON would write otherwise.
        let comma = if place == 0 { "" } else { "," };
        body.extend([comma, "\"", branch.as_str(), "\":", result.as_json()]);
    }
    body.push_str("}}");
    body
}

/// Any JSON value, as the text that it came as.
#[derive(Clone)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// This text, if it is a JSON value.
    #[must_use]
    pub fn of(json: &str) -> Option<Self> {
        RawValue::from_string(json.to_owned()).ok().map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value of this type that it stands for.
    ///
    /// # Errors
    /// It stands for none.
    pub fn read<'de, T: Deserialize<'de>>(&'de self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: impl AsRef<[u8]>) -> String {
        BranchResult::of_body(body.as_ref()).as_json().to_owned()
    }

    #[test]
    fn every_body_is_a_result() {
        let table: &[(&[u8], &str)] = &[
            (b"{ \"seat\" :\"12A\",\"seat\":1.50}", "{ \"seat\" :\"12A\",\"seat\":1.50}"),
            (b" [1e400, \"\\u00e9\"]\r\n", " [1e400, \"\\u00e9\"]\r\n"),
            (b"12", "12"),
            (b"null", "null"),
            (b"true", "true"),
            ("\"é\"".as_bytes(), "\"é\""),
            (b"\"\\u0000\\ud800\"", "\"\\u0000\\ud800\""),
            (b"", "null"),
            (b" \r\n\t", "null"),
            ("\u{a0}\u{2003}".as_bytes(), "null"),
            (b"booked", "\"booked\""),
            (b"{\"seat\":", "\"{\\\"seat\\\":\""),
            (b"{} {}", "\"{} {}\""),
            (b"NaN", "\"NaN\""),
            (b"\xef\xbb\xbf{}", "\"\u{feff}{}\""),
            (b"a\0b\x1f", "\"a\\u0000b\\u001f\""),
            (b"\"a\nb\"", "\"\\\"a\\nb\\\"\""),
            (b"\xff\xfeok", "\"\u{fffd}\u{fffd}ok\""),
            (b"{\"a\":\"\xff\"}", "\"{\\\"a\\\":\\\"\u{fffd}\\\"}\""),
            (b"<ok/>", "\"<ok/>\""),
        ];
        for (body, expected) in table {
            let shown = String::from_utf8_lossy(body);
            assert_eq!(of(body), *expected, "{shown:?}");
            let again = BranchResult::from_stored(expected, 0);
            again.unwrap_or_else(|error| panic!("{shown:?} is kept as no JSON: {error}"));
        }
    }

    #[test]
    fn a_result_that_is_nested_deeply_is_kept_as_it_is() {
        let deep = ["[".repeat(8 * 1024), "]".repeat(8 * 1024)].concat();
        assert_eq!(of(&deep), deep);
        assert_eq!(BranchResult::of_body(deep.as_bytes()).body_bytes(), 16 * 1024);
    }

    #[test]
    fn what_was_damaged_is_no_result() {
        for damaged in ["", "{", "ok", "\"\u{1}\""] {
            assert!(BranchResult::from_stored(damaged, 0).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn payload_and_results_are_sent_to_the_byte() {
        let results = [("hotel", "[1 ,2]"), ("flight", "booked")]
            .map(|(id, body)| (id.parse().expect("an id"), BranchResult::of_body(body.as_bytes())));
        let body = body_with_results("{ \"b\":1.50}", results.iter().map(|(id, it)| (id, it)));
        let expected =
            "{\"payload\":{ \"b\":1.50},\"results\":{\"hotel\":[1 ,2],\"flight\":\"booked\"}}";
        assert_eq!(body, expected);
        assert_eq!(body_with_results("null", []), "{\"payload\":null,\"results\":{}}");
    }

    #[test]
    fn a_result_is_shown_to_the_byte() {
        let shown = BranchResult::of_body(b" {\"a\" :1.0}\n").view().expect("JSON");
        assert_eq!(serde_json::to_string(&shown).expect("JSON"), "{\"a\" :1.0}");
        let read: JsonText = serde_json::from_str("{\"a\" :1.0}").expect("JSON");
        assert_eq!(read, shown);
    }
}
