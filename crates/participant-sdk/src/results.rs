//! What Tries were answered with: those that a call brings, and what this one is answered with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tercet_wire::{JsonText, RESULT_BYTES, header};
use thiserror::Error;

use crate::context::BadHeader;

/// Why a result cannot be read or answered with. Called again it would be no other, so that business
/// code that passes it on refuses.
#[derive(Debug, Error)]
pub enum ResultError {
    /// The call brings none of this branch: it has no `"results": true`, or that one does not come
    /// before it, has no Try, or was not tried.
    #[error("the call brings no result of {branch}")]
    Missing {
        /// Which branch.
        branch: String,
    },
    /// It is not what was expected.
    #[error("the result of {branch} cannot be read: {source}")]
    Unreadable {
        /// Which branch.
        branch: String,
        /// In what way.
        source: serde_json::Error,
    },
    /// It cannot be written as JSON.
    #[error("the result cannot be written: {0}")]
    Unwritable(serde_json::Error),
    /// The coordinator keeps none that is so large.
    #[error("the result has {bytes} bytes, and may have {RESULT_BYTES}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
}

/// The results that a call has to do with.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallResults {
    brought: Option<Arc<BTreeMap<String, JsonText>>>,
    answer: Arc<Mutex<Option<Box<RawValue>>>>,
}

/// The body of a call that brings results.
#[derive(Deserialize)]
struct BodyWithResults<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
    results: BTreeMap<String, JsonText>,
}

impl CallResults {
    /// Those that a call brings, as its headers say, and the payload in its body.
    pub(crate) fn read<'a>(
        headers: &HeaderMap,
        body: &'a [u8],
    ) -> Result<(Self, &'a [u8]), BadHeader> {
        let Some(value) = headers.get(header::RESULTS) else { return Ok((Self::default(), body)) };
        let bad = |what: String| BadHeader { name: header::RESULTS, what };
        if value != "true" {
            return Err(bad("may be true alone".to_owned()));
        }
        let read: BodyWithResults<'_> = serde_json::from_slice(body)
            .map_err(|error| bad(format!("the body has no payload with results: {error}")))?;
        let brought = Some(Arc::new(read.results));
        Ok((Self { brought, ..Self::default() }, read.payload.get().as_bytes()))
    }

    pub(crate) fn brought(&self) -> Option<&BTreeMap<String, JsonText>> {
        self.brought.as_deref()
    }

    /// That of a branch.
    pub(crate) fn get<T: DeserializeOwned>(&self, branch: &str) -> Result<T, ResultError> {
        let Some(text) = self.brought().and_then(|brought| brought.get(branch)) else {
            return Err(ResultError::Missing { branch: branch.to_owned() });
        };
        let unreadable = |source| ResultError::Unreadable { branch: branch.to_owned(), source };
        serde_json::from_str(text.as_str()).map_err(unreadable)
    }

    /// What the call is answered with, if it is done.
    pub(crate) fn answer(&self, result: &(impl Serialize + ?Sized)) -> Result<(), ResultError> {
        let raw = serde_json::value::to_raw_value(result).map_err(ResultError::Unwritable)?;
        let bytes = raw.get().len();
        if bytes > RESULT_BYTES {
            return Err(ResultError::TooLarge { bytes });
        }
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(raw);
        Ok(())
    }

    /// What business code wants it to be answered with. A call that is run again begins without.
    pub(crate) fn take_answer(&self) -> Option<String> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.map(|raw| Box::<str>::from(raw).into_string())
    }
}

/// What a call brings is what makes it another; what it is answered with is not part of it.
impl PartialEq for CallResults {
    fn eq(&self, other: &Self) -> bool {
        self.brought == other.brought
    }
}

impl Eq for CallResults {}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(results: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(value) = results {
            headers.insert(header::RESULTS, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_body_with_results_is_unwrapped() {
        let body = br#"{"payload": { "a" :1.50},"results":{"flight":{"seat":"12A"},"hotel":null}}"#;
        let (results, payload) = CallResults::read(&headers(Some("true")), body).expect("results");
        assert_eq!(payload, br#"{ "a" :1.50}"#);
        let flight: BTreeMap<String, String> = results.get("flight").expect("a result");
        assert_eq!(flight["seat"], "12A");
        assert_eq!(results.get::<Option<u32>>("hotel").expect("a result"), None);
        let missing = results.get::<u32>("car").expect_err("none");
        assert_eq!(missing.to_string(), "the call brings no result of car");
        assert!(matches!(results.get::<u32>("flight"), Err(ResultError::Unreadable { .. })));
    }

    #[test]
    fn a_body_without_results_is_the_payload() {
        let body = br#"{"payload":1,"results":{}}"#;
        let (results, payload) = CallResults::read(&headers(None), body).expect("a payload");
        assert_eq!((payload, results.brought()), (&body[..], None));
        assert!(results.get::<u32>("flight").is_err());
    }

    #[test]
    fn a_body_that_is_not_as_its_header_says_is_refused() {
        for (value, body) in [("true", "{}"), ("true", "[1]"), ("yes", "{\"payload\":1}")] {
            let refused = CallResults::read(&headers(Some(value)), body.as_bytes());
            assert_eq!(refused.expect_err(body).name, header::RESULTS, "{value} {body}");
        }
    }

    #[test]
    fn an_answer_has_a_bound_and_is_taken_once() {
        let results = CallResults::default();
        let too_large = results.answer(&"x".repeat(RESULT_BYTES - 1)).expect_err("too large");
        assert!(matches!(too_large, ResultError::TooLarge { bytes } if bytes == RESULT_BYTES + 1));
        results.answer(&"x".repeat(RESULT_BYTES - 2)).expect("room");
        assert_eq!(results.take_answer().map(|answer| answer.len()), Some(RESULT_BYTES));
        assert_eq!(results.take_answer(), None);
    }
}
