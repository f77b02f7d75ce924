//! What a call says about itself, in its `Tercet-*` headers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tercet_wire::{BranchId, Gid, Instance, JsonText, Op, Wall, header};
use thiserror::Error;

use crate::legs::Legs;
use crate::results::{CallResults, ResultError};

/// What the business code and the guard know of the call they answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The global transaction.
    pub gid: Gid,
    /// The branch: this participant's part of it.
    pub branch: BranchId,
    /// Which life of the gid. A gid that is used again after its retention is another transaction.
    pub instance: Instance,
    /// Try, Confirm or Cancel.
    pub op: Op,
    /// The legs this branch has.
    pub legs: Legs,
    /// 1, 2, …; a hint for people, since it may repeat after the coordinator restarts.
    pub attempt: u32,
    /// On a Try: when it is given up if it stays unanswered, UTC.
    pub deadline: Option<Wall>,
    /// W3C trace context, to be passed on to whatever is called from here.
    pub traceparent: Option<String>,
    /// Whether this is a Cancel of whose branch no Try was recorded here. It is run only for a
    /// participant that asks for it (`Participant::CANCELS_EMPTY`).
    pub empty: bool,
    pub(crate) results: CallResults,
}

/// A header that every call carries is missing or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("header {name}: {what}")]
pub struct BadHeader {
    /// The header, in lower case.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: String,
}

impl Context {
    /// Reads the headers of a call to `op`'s URL.
    ///
    /// # Errors
    /// A required header is missing or cannot be read, or `Tercet-Op` names another call
    /// than the URL does. `Tercet-Attempt` and `traceparent` may be absent, and
    /// `Tercet-Deadline` is sent on Try alone.
    pub fn from_headers(op: Op, headers: &HeaderMap) -> Result<Self, BadHeader> {
        let context = Self {
            gid: required(headers, header::GID)?,
            branch: required(headers, header::BRANCH)?,
            instance: required(headers, header::INSTANCE)?,
            op: required(headers, header::OP)?,
            legs: required(headers, header::LEGS)?,
            attempt: optional(headers, header::ATTEMPT)?.unwrap_or(1),
            deadline: optional(headers, header::DEADLINE)?,
            traceparent: optional(headers, header::TRACEPARENT)?,
            empty: false,
            results: CallResults::default(),
        };
        if context.op != op {
            let what = format!("says {}, but this is the URL of {op}", context.op);
            return Err(BadHeader { name: header::OP, what });
        }
        Ok(context)
    }

    /// Reads a call to `op`'s URL: its headers, and what is in its body. Where it brings results the
    /// payload is a part of the body, and [`result`](Self::result) gives the rest; else it is the body.
    ///
    /// # Errors
    /// As [`from_headers`](Self::from_headers), or the body is not as `Tercet-Results` says.
    pub fn from_call<'a>(
        op: Op,
        headers: &HeaderMap,
        body: &'a [u8],
    ) -> Result<(Self, &'a [u8]), BadHeader> {
        let context = Self::from_headers(op, headers)?;
        let (results, payload) = CallResults::read(headers, body)?;
        Ok((Self { results, ..context }, payload))
    }

    /// What the Try of this branch was answered with. A call brings what the branches before its own
    /// were answered with, and in Confirm and Cancel its own, where it is registered with
    /// `"results": true`.
    ///
    /// # Errors
    /// It brings none of that branch, or one that is no `T`.
    pub fn result<T: DeserializeOwned>(&self, branch: &str) -> Result<T, ResultError> {
        self.results.get(branch)
    }

    /// All results that the call brings, by their branches; none where it is not registered with
    /// `"results": true`.
    #[must_use]
    pub fn results(&self) -> Option<&BTreeMap<String, JsonText>> {
        self.results.brought()
    }

    /// Has a Try, once it is done, answered with this: the result of its branch, for the branches after
    /// it. The guard keeps it with its row, so that a Try that is repeated is answered with the same.
    /// Of several the last counts. Elsewhere than in a Try nobody reads it.
    ///
    /// # Errors
    /// It cannot be written as JSON, or takes more than 16 KiB.
    pub fn answer(&self, result: &(impl Serialize + ?Sized)) -> Result<(), ResultError> {
        self.results.answer(result)
    }

    /// The headers of this call, for whoever makes it: what [`from_headers`](Self::from_headers)
    /// reads, and the `Idempotency-Key`. Repeat a call with the same ones; only
    /// [`attempt`](Self::attempt) may grow.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        // Whether a Cancel is empty is the participant's own knowledge and travels nowhere.
        let Self { gid, branch, instance, op, legs, attempt, deadline, traceparent, .. } = self;
        // A structured string (RFC 9651, 3.3.3); ids hold neither quotes nor backslashes.
        let key = format!("\"{gid}/{branch}/{op}\"");
        let values = [
            (header::GID, Some(gid.to_string())),
            (header::BRANCH, Some(branch.to_string())),
            (header::INSTANCE, Some(instance.to_string())),
            (header::OP, Some(op.to_string())),
            (header::LEGS, Some(legs.to_string())),
            (header::ATTEMPT, Some(attempt.to_string())),
            (header::DEADLINE, deadline.map(|at| at.to_string())),
            (header::IDEMPOTENCY_KEY, Some(key)),
            (header::TRACEPARENT, traceparent.clone()),
        ];
        let mut headers = HeaderMap::with_capacity(values.len());
        for (name, value) in values {
            // Only a trace context that is none can fail here, and a call is right without it.
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

fn required<T: FromStr<Err: fmt::Display>>(
    headers: &HeaderMap,
    name: &'static str,
) -> Result<T, BadHeader> {
    optional(headers, name)?.ok_or_else(|| BadHeader { name, what: "is missing".to_owned() })
}

fn optional<T: FromStr<Err: fmt::Display>>(
    headers: &HeaderMap,
    name: &'static str,
) -> Result<Option<T>, BadHeader> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value
        .to_str()
        .map_err(|_| BadHeader { name, what: "is not printable ASCII".to_owned() })?;
    text.parse().map(Some).map_err(|error: T::Err| BadHeader { name, what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "0193b6a0-0000-7000-8000-000000000001";

    fn headers(change: (&str, Option<&str>)) -> HeaderMap {
        let usual = [
            (header::GID, "order-1"),
            (header::BRANCH, "payment"),
            (header::INSTANCE, INSTANCE),
            (header::OP, "try"),
            (header::LEGS, "try,confirm,cancel"),
            (header::ATTEMPT, "2"),
            (header::DEADLINE, "2026-11-20T12:00:00.000Z"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in usual {
            if name != change.0 {
                headers.insert(name, value.parse().expect("a header value"));
            }
        }
        if let (name, Some(value)) = change {
            let name: http::HeaderName = name.parse().expect("a header name");
            headers.insert(name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_call_is_read_from_its_headers() {
        let read = Context::from_headers(Op::Try, &headers(("", None))).expect("complete");
        assert_eq!(read.gid.as_str(), "order-1");
        assert_eq!(read.branch.as_str(), "payment");
        assert_eq!(read.instance.to_string(), INSTANCE);
        assert_eq!((read.op, read.legs, read.attempt), (Op::Try, Legs::ALL, 2));
        assert_eq!(
            read.deadline.map(|at| at.to_string()).as_deref(),
            Some("2026-11-20T12:00:00.000Z")
        );
        assert_eq!(read.traceparent, None);
    }

    #[test]
    fn a_header_that_is_missing_or_wrong_is_named() {
        let table = [
            (header::GID, None, "header tercet-gid: is missing"),
            (header::BRANCH, None, "header tercet-branch: is missing"),
            (header::INSTANCE, None, "header tercet-instance: is missing"),
            (header::OP, None, "header tercet-op: is missing"),
            (header::LEGS, None, "header tercet-legs: is missing"),
            (
                header::OP,
                Some("confirm"),
                "header tercet-op: says confirm, but this is the URL of try",
            ),
            (header::LEGS, Some("undo"), "header tercet-legs: must be try, confirm or cancel"),
            (
                header::GID,
                Some("a/b"),
                "header tercet-gid: may contain only letters, digits and . _ : - , not '/'",
            ),
        ];
        for (name, value, expected) in table {
            let error = Context::from_headers(Op::Try, &headers((name, value))).expect_err(name);
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut call = Context::from_headers(Op::Try, &headers(("", None))).expect("complete");
        call.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
        let written = call.headers();
        assert_eq!(written[header::IDEMPOTENCY_KEY], "\"order-1/payment/try\"");
        assert_eq!(Context::from_headers(Op::Try, &written), Ok(call.clone()));

        call.traceparent = Some("no\ntrace".into());
        assert!(!call.headers().contains_key(header::TRACEPARENT), "a header was split");
    }

    #[test]
    fn what_is_only_a_hint_may_be_absent() {
        let read = Context::from_headers(Op::Try, &headers((header::ATTEMPT, None)));
        assert_eq!(read.expect("complete").attempt, 1);
        let read = Context::from_headers(Op::Try, &headers((header::DEADLINE, None)));
        assert_eq!(read.expect("complete").deadline, None);
    }
}
