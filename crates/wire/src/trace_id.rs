//! The id of the trace that a transaction belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Hexadecimal digits of an id. Source: W3C Trace Context, 3.2.2.3.
const DIGITS: usize = 32;

/// 32 hexadecimal digits, by which traces are looked up where they are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; DIGITS]);

/// The text is no id of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("must be 32 hexadecimal digits")]
pub struct InvalidTraceId;

impl TraceId {
    /// That of a `traceparent`, as transactions have one; none if it is none.
    #[must_use]
    pub fn of(traceparent: &str) -> Option<Self> {
        traceparent.get(3..3 + DIGITS)?.parse().ok()
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Nothing but digits gets in.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for TraceId {
    type Err = InvalidTraceId;

    fn from_str(text: &str) -> Result<Self, InvalidTraceId> {
        let digits: [u8; DIGITS] = text.as_bytes().try_into().map_err(|_| InvalidTraceId)?;
        let is_one = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if is_one { Ok(Self(digits)) } else { Err(InvalidTraceId) }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_second_part_of_a_traceparent() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let id = TraceId::of(&format!("00-{trace}-b7ad6b7169203331-01")).expect("one");
        assert_eq!((id.to_string(), format!("{id:?}")), (trace.to_owned(), trace.to_owned()));
        let json = format!("\"{trace}\"");
        assert_eq!(serde_json::to_string(&id).expect("a text"), json);
        assert_eq!(serde_json::from_str::<TraceId>(&json).expect("an id"), id);
        for none in ["", "00-0af7", &format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase())] {
            assert_eq!(TraceId::of(none), None, "{none}");
        }
    }
}
