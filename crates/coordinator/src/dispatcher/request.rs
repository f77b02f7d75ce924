//! Writes the request of a call, with every header that a participant goes by.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, USER_AGENT,
};
use http::{Method, Request, Uri};
use http_body_util::Full;
use tercet_protocol::wire::header;
use tercet_protocol::{Call, Instance};
use thiserror::Error;
use url::Url;

/// A call that cannot be written. Its values were checked when the branch was logged,
/// so this is a bug of ours; it names no value, since they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unwritable {
    #[error("a header name of the branch cannot be sent")]
    Name,
    #[error("the value of header {0} cannot be sent")]
    Value(HeaderName),
    #[error("the URL of the branch cannot be called")]
    Url,
}

/// Who calls, as it is written in every request.
const CALLER: HeaderValue = HeaderValue::from_static(concat!("tercet/", env!("CARGO_PKG_VERSION")));

/// The request for a call. `luck` becomes the span id.
pub(super) fn request(
    call: &Call,
    url: &Url,
    luck: u64,
) -> Result<Request<Full<Bytes>>, Unwritable> {
    // The payload is shared with the engine, not copied.
    let payload: Arc<[u8]> = Arc::from(Arc::clone(&call.branch.payload));
    let mut request = Request::new(Full::new(Bytes::from_owner(payload)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::try_from(url.as_str()).map_err(|_| Unwritable::Url)?;
    *request.headers_mut() = headers(call, luck)?;
    Ok(request)
}

fn headers(call: &Call, luck: u64) -> Result<HeaderMap, Unwritable> {
    let ticket = &call.ticket;
    let mut headers = HeaderMap::with_capacity(13 + call.branch.headers.len());
    for (name, value) in &call.branch.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unwritable::Name)?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| Unwritable::Value(name.clone()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    // Ours come last and replace: a branch cannot speak in our name.
    let mut own = |name: &'static str, value: Result<HeaderValue, InvalidHeaderValue>| {
        let name = HeaderName::from_static(name);
        let value = value.map_err(|_| Unwritable::Value(name.clone()))?;
        headers.insert(name, value);
        Ok(())
    };
    // A structured string (RFC 9651, 3.3.3); ids hold neither quotes nor backslashes.
    let key = format!("\"{}/{}/{}\"", ticket.gid, ticket.branch, ticket.op);
    own(header::GID, HeaderValue::from_str(ticket.gid.as_str()))?;
    own(header::BRANCH, HeaderValue::from_str(ticket.branch.as_str()))?;
    own(header::INSTANCE, HeaderValue::try_from(ticket.instance.to_string()))?;
    own(header::LEGS, HeaderValue::try_from(call.branch.legs()))?;
    own(header::OP, Ok(HeaderValue::from_static(ticket.op.as_str())))?;
    own(header::ATTEMPT, Ok(HeaderValue::from(ticket.attempt)))?;
    if let Some(deadline) = call.deadline_at {
        own(header::DEADLINE, HeaderValue::try_from(deadline.to_string()))?;
    }
    own(header::IDEMPOTENCY_KEY, HeaderValue::try_from(key))?;
    let trace = traceparent(&call.spec.traceparent, ticket.instance, luck);
    own(header::TRACEPARENT, HeaderValue::try_from(trace))?;
    own(USER_AGENT.as_str(), Ok(CALLER))?;
    own(CONTENT_TYPE.as_str(), Ok(HeaderValue::from_static("application/json")))?;
    Ok(headers)
}

/// The trace of the transaction with a span of this call's own. A transaction whose
/// `traceparent` is none gets a trace made from its instance: the same in every call,
/// and after a restart. Source: W3C Trace Context, 3.2.
fn traceparent(of_transaction: &str, instance: Instance, luck: u64) -> String {
    let (trace, flags) = match parts(of_transaction) {
        Some((trace, flags)) => (trace.to_owned(), flags),
        None => (instance.0.simple().to_string(), "01"),
    };
    // A span id of zeros means none.
    let span = luck.max(1);
    format!("00-{trace}-{span:016x}-{flags}")
}

/// Trace id and flags, if the text is a `traceparent`. A later version may have more parts.
fn parts(text: &str) -> Option<(&str, &str)> {
    let hex = |part: &&str, len: usize| {
        let digits = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        part.len() == len && digits
    };
    let mut parts = text.split('-');
    let version = parts.next().filter(|part| hex(part, 2) && *part != "ff")?;
    let nonzero = |part: &&str| part.bytes().any(|b| b != b'0');
    let trace = parts.next().filter(|part| hex(part, 32)).filter(nonzero)?;
    parts.next().filter(|part| hex(part, 16)).filter(nonzero)?;
    let flags = parts.next().filter(|part| hex(part, 2))?;
    let ended = parts.next().is_none();
    (ended || version != "00").then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_goes_on_under_a_span_of_the_call() {
        let instance: Instance = "0193a5f0-0000-7000-8000-00000000002a".parse().expect("a uuid");
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let own = instance.0.simple().to_string();
        let table = [
            (
                format!("00-{trace}-00f067aa0ba902b7-01"),
                7,
                format!("00-{trace}-0000000000000007-01"),
            ),
            (
                format!("00-{trace}-00f067aa0ba902b7-00"),
                0,
                format!("00-{trace}-0000000000000001-00"),
            ),
            (
                format!("01-{trace}-00f067aa0ba902b7-03-more"),
                7,
                format!("00-{trace}-0000000000000007-03"),
            ),
            (
                format!("00-{trace}-00f067aa0ba902b7-01-more"),
                7,
                format!("00-{own}-0000000000000007-01"),
            ),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), 7, format!("00-{own}-0000000000000007-01")),
            ("00-0-0-0".to_owned(), 7, format!("00-{own}-0000000000000007-01")),
            (
                format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
                7,
                format!("00-{own}-0000000000000007-01"),
            ),
            (String::new(), u64::MAX, format!("00-{own}-ffffffffffffffff-01")),
        ];
        for (given, luck, expected) in table {
            assert_eq!(traceparent(&given, instance, luck), expected, "{given:?}");
        }
    }
}
