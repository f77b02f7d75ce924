//! Writes the request of a call, with every header that a participant goes by.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, USER_AGENT,
};
use http::{Method, Request, Uri};
use http_body_util::Full;
use tercet_engine::Call;
use tercet_wire::{Instance, body_with_results};
use thiserror::Error;
use url::{Position, Url};
use uuid::Uuid;

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

/// The body of a call: the payload, or the payload and the results that it brings.
pub(super) fn body(call: &Call) -> Bytes {
    match call.brought() {
        None => {
            // The payload is shared with the engine, not copied.
            let payload: Arc<[u8]> = Arc::from(Arc::clone(&call.branch.payload));
            Bytes::from_owner(payload)
        }
        Some(results) => {
            let results = results.iter().map(|(branch, result)| (branch, result));
            Bytes::from(body_with_results(&call.branch.payload, results))
        }
    }
}

/// The request for a call. Of `span` the first becomes its id, the second says that it is told to a
/// collector.
pub(super) fn request(
    call: &Call,
    url: &Url,
    body: Bytes,
    span: (u64, bool),
) -> Result<Request<Full<Bytes>>, Unwritable> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    let target = &url[Position::BeforePath..Position::AfterQuery];
    *request.uri_mut() = Uri::try_from(target).map_err(|_| Unwritable::Url)?;
    let mut headers = headers(call, span)?;
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
    headers.insert(HOST, host.map_err(|_| Unwritable::Url)?);
    *request.headers_mut() = headers;
    Ok(request)
}

fn headers(call: &Call, span: (u64, bool)) -> Result<HeaderMap, Unwritable> {
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
    let mut own = |name: HeaderName, value: Result<HeaderValue, InvalidHeaderValue>| {
        let value = value.map_err(|_| Unwritable::Value(name.clone()))?;
        headers.insert(name, value);
        Ok(())
    };
    let (gid, branch, op) =
        (ticket.gid.as_str(), ticket.branch.as_str(), ticket.call_op().as_str());
    // A structured string (RFC 9651, 3.3.3); ids hold neither quotes nor backslashes.
    let key = match ticket.asks {
        true => ["\"", gid, "/", op, "\""].concat(),
        false => ["\"", gid, "/", branch, "/", op, "\""].concat(),
    };
    let mut instance = Uuid::encode_buffer();
    let instance = ticket.instance.uuid().hyphenated().encode_lower(&mut instance);
    own(name::GID, HeaderValue::from_str(gid))?;
    if !ticket.asks {
        own(name::BRANCH, HeaderValue::from_str(branch))?;
        own(name::LEGS, Ok(HeaderValue::from_static(call.branch.legs())))?;
    }
    own(name::INSTANCE, HeaderValue::from_str(instance))?;
    own(name::OP, Ok(HeaderValue::from_static(op)))?;
    own(name::ATTEMPT, Ok(HeaderValue::from(ticket.attempt)))?;
    if let Some(deadline) = call.deadline_at {
        own(name::DEADLINE, HeaderValue::try_from(deadline.to_string()))?;
    }
    if call.brought().is_some() {
        own(name::RESULTS, Ok(HeaderValue::from_static("true")))?;
    }
    own(name::IDEMPOTENCY_KEY, HeaderValue::try_from(key))?;
    let trace = traceparent(&call.spec.traceparent, ticket.instance, span);
    own(name::TRACEPARENT, HeaderValue::try_from(trace))?;
    own(USER_AGENT, Ok(CALLER))?;
    own(CONTENT_TYPE, Ok(HeaderValue::from_static("application/json")))?;
    Ok(headers)
}

/// The names of our headers, made when the program is: to make one takes a look-up.
mod name {
    use http::header::HeaderName;
    use tercet_wire::header;

    pub(super) const GID: HeaderName = HeaderName::from_static(header::GID);
    pub(super) const BRANCH: HeaderName = HeaderName::from_static(header::BRANCH);
    pub(super) const INSTANCE: HeaderName = HeaderName::from_static(header::INSTANCE);
    pub(super) const LEGS: HeaderName = HeaderName::from_static(header::LEGS);
    pub(super) const OP: HeaderName = HeaderName::from_static(header::OP);
    pub(super) const ATTEMPT: HeaderName = HeaderName::from_static(header::ATTEMPT);
    pub(super) const DEADLINE: HeaderName = HeaderName::from_static(header::DEADLINE);
    pub(super) const RESULTS: HeaderName = HeaderName::from_static(header::RESULTS);
    pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(header::IDEMPOTENCY_KEY);
    pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static(header::TRACEPARENT);
}

/// The id of a call's span. One of zeros means none.
pub(super) fn span_id(entropy: u64) -> u64 {
    entropy.max(1)
}

/// The trace of the transaction with a span of this call's own. A transaction whose
/// `traceparent` is none gets a trace made from its instance: the same in every call,
/// and after a restart. Where a collector is told of the call, whoever is called hears that it is.
/// Source: W3C Trace Context, 3.2.
fn traceparent(
    of_transaction: &str,
    instance: Instance,
    (entropy, sampled): (u64, bool),
) -> String {
    let mut own = Uuid::encode_buffer();
    let (trace, flags) = match parts(of_transaction) {
        Some(parts) => parts,
        None => (&*instance.uuid().simple().encode_lower(&mut own), "01"),
    };
    let flags = if sampled { "01" } else { flags };
    let mut span = Uuid::encode_buffer();
    // The second half of a number's 32 digits.
    let span = &Uuid::from_u64_pair(0, span_id(entropy)).simple().encode_lower(&mut span)[16..];
    ["00-", trace, "-", span, "-", flags].concat()
}

/// Trace id and flags, if the text is a `traceparent`: four parts of 2, 32, 16 and 2 hex
/// digits. A later version may have more parts.
fn parts(text: &str) -> Option<(&str, &str)> {
    let hex = |part: &&str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let nonzero = |part: &&str| part.bytes().any(|b| b != b'0');
    let dashes = [2, 35, 52].iter().all(|place| text.as_bytes().get(*place) == Some(&b'-'));
    let version = text.get(..2).filter(hex).filter(|version| dashes && *version != "ff")?;
    let trace = text.get(3..35).filter(hex).filter(nonzero)?;
    text.get(36..52).filter(hex).filter(nonzero)?;
    let flags = text.get(53..55).filter(hex)?;
    let ends_well = match text.as_bytes().get(55) {
        None => true,
        Some(next) => version != "00" && *next == b'-',
    };
    ends_well.then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_goes_on_under_a_span_of_the_call() {
        let instance: Instance = "0193a5f0-0000-7000-8000-00000000002a".parse().expect("a uuid");
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let own = instance.uuid().simple().to_string();
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
        for (given, entropy, expected) in table {
            assert_eq!(traceparent(&given, instance, (entropy, false)), expected, "{given:?}");
            let told = format!("{}01", &expected[..expected.len() - 2]);
            assert_eq!(traceparent(&given, instance, (entropy, true)), told, "{given:?}");
        }
    }
}
