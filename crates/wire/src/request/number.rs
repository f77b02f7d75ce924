//! Numbers as clients write them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A whole number, also where it is written as one that need not be: `30000.0`, `3e4`.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let given = Option::<Whole>::deserialize(from)?;
    Ok(given.map(|Whole(number)| number))
}

struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WholeVisitor).map(Self)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole, not negative, and far below the greatest"
    )]
    fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
        // Beyond it a floating-point number does not tell which whole number is meant.
        const GREATEST: f64 = 9_007_199_254_740_992.0;
        match number {
            number if number.fract() == 0.0 && (0.0..=GREATEST).contains(&number) => {
                Ok(number as u64)
            }
            number => Err(E::invalid_value(Unexpected::Float(number), &self)),
        }
    }
}

/// An object of the caller's own, as long as it can be kept as it is: a whole number beyond 64
/// bits would come back as another.
pub(super) fn exact<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let Some(raw) = Option::<Box<RawValue>>::deserialize(from)? else { return Ok(None) };
    if let Some(number) = integer_beyond_64_bits(raw.get()) {
        let number: String = number.chars().take(40).collect();
        return Err(D::Error::custom(format!(
            "{number} has more than 64 bits and would not be kept as it is; send it as a string"
        )));
    }
    serde_json::from_str(raw.get()).map(Some).map_err(D::Error::custom)
}

/// The first one in this text of JSON.
fn integer_beyond_64_bits(json: &str) -> Option<&str> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'0'..=b'9' | b'e' | b'E');
                let length = bytes[at..].iter().take_while(|byte| is_part(byte)).count();
                let number = &json[at..at + length];
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(number);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// Where the text after the string that begins here begins.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return at,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::BeginRequest;

    fn begin(body: &str) -> Result<BeginRequest, String> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_of_milliseconds_may_be_written_with_decimals() {
        for (text, expected) in [("30000", 30_000), ("30000.0", 30_000), ("3e4", 30_000), ("0", 0)]
        {
            let begin = begin(&format!(r#"{{"timeout_ms":{text}}}"#)).expect(text);
            assert_eq!(begin.timeout_ms, Some(expected), "{text}");
        }
        assert_eq!(begin(r#"{"timeout_ms":null}"#).expect("null").timeout_ms, None);
        for text in ["30000.5", "-1", "-1.0", "1e300", "9007199254740994.0", "\"5\"", "true", "[]"]
        {
            let error = begin(&format!(r#"{{"timeout_ms":{text}}}"#)).expect_err(text);
            assert!(error.contains("a whole number"), "{text}: {error}");
        }
    }

    #[test]
    fn a_whole_number_of_metadata_is_kept_or_refused() {
        for text in ["18446744073709551615", "-9223372036854775808", "0.5", "1e300", "-0"] {
            assert!(begin(&format!(r#"{{"metadata":{{"a":[{text}]}}}}"#)).is_ok(), "{text}");
        }
        for text in ["18446744073709551616", "-9223372036854775809", "100000000000000000000000"] {
            let error = begin(&format!(r#"{{"metadata":{{"a":[1,{{"b":{text}}}]}}}}"#));
            let error = error.expect_err(text);
            assert!(error.contains(text) && error.contains("send it as a string"), "{error}");
        }
        let in_a_string = r#"{"metadata":{"18446744073709551616":"\"18446744073709551616\\"}}"#;
        assert!(begin(in_a_string).is_ok());
        assert!(begin(r#"{"metadata":[]}"#).is_err_and(|error| error.contains("invalid type")));
        assert!(begin(r#"{"metadata":null}"#).is_ok_and(|begin| begin.metadata.is_none()));
    }

    #[test]
    fn an_empty_list_may_be_written_as_null() {
        let nothing = r#"{"gid":null,"branches":null,"open":null,"metadata":null}"#;
        assert!(begin(nothing).expect("nulls").branches.is_empty());
        let branch = r#"{"branches":[{"id":null,"endpoint":null,"try":null,"confirm":"http://h/",
            "cancel":null,"headers":null,"timeout_ms":null,"try_by":null}]}"#;
        assert_eq!(begin(branch).expect("nulls").branches.len(), 1);
        assert!(begin(r#"{"branches":[null]}"#).is_err(), "a branch is an object");
    }
}
