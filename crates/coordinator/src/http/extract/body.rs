//! The body of a request as a value: JSON of a bounded size that arrives in time.

use std::pin::pin;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde::de::{DeserializeOwned, IgnoredAny};
use tercet_wire::{Invalid, Object, ProblemCode};
use tokio::time::sleep;

use crate::http::extract::budget::Place;
use crate::http::response::problem::Failure;
use crate::http::state::{Api, RequestLimits};

/// How many times the limit is read, at most, before a client that goes on is cut off.
const DISCARDED: usize = 8;

/// What every body may take without asking, in bytes: what a connection takes for a request's
/// head anyway, and more than most requests have.
const SMALL: usize = 16 * 1_024;

/// A body that was received, and its room in the budget until it is understood.
pub(super) struct Received {
    text: String,
    _place: Option<Place>,
}

impl Received {
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// A body that must be there.
#[derive(Debug)]
pub(in crate::http) struct Body<T>(pub(in crate::http) T);

/// A body that must be there, and says itself what it may be.
#[derive(Debug)]
pub(in crate::http) struct AnyBody<T>(pub(in crate::http) T);

/// A body that may be absent.
#[derive(Debug)]
pub(in crate::http) struct OptionalBody<T>(pub(in crate::http) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        match read(request, &api.requests).await? {
            Some(received) => parse(received.text()).map(|Object(value)| Self(value)),
            None => Err(Invalid::new("body", "is empty; send a JSON object").into()),
        }
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for AnyBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        match read(request, &api.requests).await? {
            Some(received) => parse(received.text()).map(Self),
            None => Err(Invalid::new("body", "is empty; send JSON").into()),
        }
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Api>> for OptionalBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        match read(request, &api.requests).await? {
            // `null` is how some clients write that there is nothing.
            Some(received) => {
                let given: Option<Object<T>> = parse(received.text())?;
                Ok(Self(given.map(|Object(value)| value).unwrap_or_default()))
            }
            None => Ok(Self(T::default())),
        }
    }
}

/// The body; none if it is empty.
pub(super) async fn read(
    request: Request,
    limits: &RequestLimits,
) -> Result<Option<Received>, Failure> {
    let (parts, mut body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(None);
    }
    let declared = body.size_hint().exact();
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let too_large = declared.is_some_and(|length| length > limits.max_bytes);
    let checked = if too_large { Err(limits.too_large()) } else { check_kind(&parts.headers) };
    if let Err(failure) = checked {
        // Who waits to be told to go on sends nothing before it is answered.
        if expects_continue(&parts.headers) || discard(&mut body, 0, limits).await > 0 {
            return Err(failure);
        }
        return Ok(None);
    }
    let room = match parts.extensions.get::<HasRoom>() {
        Some(HasRoom) => Room::There,
        None => Room::Taken,
    };
    let (bytes, place) = bytes_of(&mut body, declared, room, limits).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|error| Invalid::new("body", format!("must be UTF-8: {error}")))?;
    Ok(Some(Received { text, _place: place }))
}

/// On a request whose body has its room in the budget already.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct HasRoom;

/// All of a body, whatever it says, with its room in the budget for as long as it is held. One that
/// is too large is none, if nothing of it has come.
pub(in crate::http) async fn whole(
    headers: &HeaderMap,
    mut body: axum::body::Body,
    limits: &RequestLimits,
) -> Result<(Bytes, Option<Place>), Failure> {
    let declared = body.size_hint().exact();
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if declared.is_some_and(|length| length > limits.max_bytes) {
        if expects_continue(headers) || discard(&mut body, 0, limits).await > 0 {
            return Err(limits.too_large());
        }
        return Ok((Bytes::new(), None));
    }
    let (mut bytes, place) = bytes_of(&mut body, declared, Room::Taken, limits).await?;
    // Room may have been made for more than has come.
    bytes.shrink_to_fit();
    Ok((bytes.into(), place))
}

/// Where a body's room in the budget comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// It is taken while the body is read.
    Taken,
    /// Somebody has taken it, who holds the body anyway.
    There,
}

/// Reads the body. What is larger than others have without asking takes its room from the budget
/// before it takes memory.
async fn bytes_of(
    body: &mut axum::body::Body,
    declared: Option<usize>,
    room: Room,
    limits: &RequestLimits,
) -> Result<(Vec<u8>, Option<Place>), Failure> {
    let (mut bytes, mut place) = (Vec::new(), None);
    let mut late = pin!(sleep(limits.body_timeout));
    loop {
        let frame = tokio::select! {
            // The time is looked at first, however fast the bytes come.
            biased;
            () = &mut late => {
                let what = format!("did not arrive within {} ms", limits.body_timeout.as_millis());
                return Err(Invalid::new("body", what).into());
            }
            frame = body.frame() => frame,
        };
        let Some(frame) = frame else { return Ok((bytes, place)) };
        // Nobody may be there to read this, but somebody who half-closed can be.
        let frame = frame.map_err(|error| Invalid::new("body", error))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > limits.max_bytes {
            discard(body, length, limits).await;
            return Err(limits.too_large());
        }
        if length > SMALL && place.is_none() && room == Room::Taken {
            let whole = declared.unwrap_or(limits.max_bytes).max(length);
            place = Some(limits.budget.place(whole, limits.body_timeout).await?);
            bytes.reserve_exact(whole - bytes.len());
            // It was not the client who let us wait.
            late.set(sleep(limits.body_timeout));
        }
        bytes.extend_from_slice(&data);
    }
}

/// Reads a little beyond the limit and throws it away: a client that is still sending when
/// the connection closes may never see why. Says how long the body is, as far as it was read.
async fn discard(body: &mut axum::body::Body, read: usize, limits: &RequestLimits) -> usize {
    let mut length = read;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            length += frame.data_ref().map_or(0, |data| data.len());
            if length > limits.max_bytes.saturating_mul(DISCARDED) {
                break;
            }
        }
    };
    // Within the time of a body, however fast the bytes come: each frame gives others their turn.
    let _ = tokio::time::timeout(limits.body_timeout, reading).await;
    length
}

fn expects_continue(headers: &HeaderMap) -> bool {
    let expects = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    headers.get(header::EXPECT).is_some_and(expects)
}

/// Whether the body is what can be read: JSON, as it is.
fn check_kind(headers: &HeaderMap) -> Result<(), Failure> {
    for coding in headers.get_all(header::CONTENT_ENCODING) {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        if !coding.trim().eq_ignore_ascii_case("identity") {
            let coding: String = coding.chars().take(64).collect();
            let detail = format!(
                "a body in Content-Encoding {coding:?} is not read; send it as it is, without that \
                 header"
            );
            return Err(Failure::new(ProblemCode::UnsupportedMediaType, detail));
        }
    }
    check_media_type(headers)
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Failure> {
    let unsupported = |detail: String| Err(Failure::new(ProblemCode::UnsupportedMediaType, detail));
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return unsupported("the body has no Content-Type; it must be application/json".to_owned());
    };
    let given = String::from_utf8_lossy(given.as_bytes()).to_ascii_lowercase();
    let mut parts = given.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some(("charset", charset)) => matches!(charset.trim_matches('"'), "utf-8" | "utf8"),
        Some(_) | None => true,
    });
    if is_json && is_utf8 {
        return Ok(());
    }
    let given: String = given.chars().take(64).collect();
    unsupported(format!("Content-Type must be application/json in UTF-8, this is {given:?}"))
}

/// Whether a path leads to headers, which have secrets in them.
fn is_of_headers(path: &str) -> bool {
    path.split('.').any(|part| part == "headers")
}

/// Some editors and libraries begin every text with a byte order mark.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let text = without_mark(text);
    let mut from = serde_json::Deserializer::from_str(text);
    let value = match T::deserialize(&mut from) {
        Ok(value) => value,
        // To know where it is wrong takes longer than all the rest, so it is read for that once more.
        Err(error) => {
            let mut from = serde_json::Deserializer::from_str(text);
            return Err(match serde_path_to_error::deserialize::<_, T>(&mut from) {
                Ok(_) => Invalid::new("body", error),
                Err(found) => wrong(text, &found.path().to_string(), found.into_inner()),
            }
            .into());
        }
    };
    from.end().map_err(|error| Invalid::new("body", error))?;
    Ok(value)
}

/// What is wrong at this place.
fn wrong(text: &str, path: &str, error: serde_json::Error) -> Invalid {
    // Where the text is no JSON at all, the path is only how far it was read. A word of the wrong
    // kind reads as if it were none.
    let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
    match (path, error.is_data()) {
        (".", _) => Invalid::new("body", error),
        // What a header says is told to nobody.
        (path, true) if is_of_headers(path) => {
            Invalid::new(path, "invalid type: must be text, by its name")
        }
        (path, true) => Invalid::new(path, error),
        (path, false) if is_json() => Invalid::new(path, "is of another kind than it must be"),
        (_, false) => Invalid::new("body", error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::extract::budget::BodyBudget;

    #[test]
    fn what_is_wrong_is_named_and_no_header_told() {
        let refused = |text: &str| {
            let failure = parse::<tercet_wire::JobRequest>(text).map(|_| ()).expect_err(text);
            failure.detail().to_owned()
        };
        assert_eq!(refused(r#"{"action":5}"#), "action: is of another kind than it must be");
        assert!(refused(r#"{"action":"#).starts_with("body: "));
        assert!(refused(r#"{"action":"retry","dry_run":7}"#).starts_with("dry_run: invalid type"));
        let refused = |text: &str| {
            let failure = parse::<tercet_wire::ReaddressRequest>(text).map(|_| ()).expect_err(text);
            failure.detail().to_owned()
        };
        for secret in [r#""Bearer S3CRET""#, r#"{"authorization":["S3CRET"]}"#] {
            let told = refused(&format!(r#"{{"headers":{secret}}}"#));
            assert!(told.starts_with("headers") && !told.contains("S3CRET"), "{told}");
        }
    }

    /// Keeps P9.
    #[tokio::test]
    async fn a_body_has_its_room_for_as_long_as_it_is_held() {
        let limits = RequestLimits {
            max_bytes: 100_000,
            body_timeout: Duration::from_millis(5),
            budget: BodyBudget::new(100_000),
        };
        let received = async || {
            let body = axum::body::Body::from(vec![b'x'; 60_000]);
            whole(&HeaderMap::new(), body, &limits).await
        };
        let first = received().await.expect("room");
        assert_eq!(first.0.len(), 60_000);
        assert!(received().await.is_err(), "the first is held");
        drop(first);
        received().await.expect("room again");
    }
}
