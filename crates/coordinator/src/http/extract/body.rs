//! The body of a request as a value: JSON of a bounded size that arrives in time.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tercet_wire::{Invalid, Object, ProblemCode};

use crate::http::response::problem::Failure;
use crate::http::state::{Api, RequestLimits};

/// How many times the limit is read, at most, before a client that goes on is cut off.
const DISCARDED: usize = 8;

/// A body that must be there.
#[derive(Debug)]
pub(in crate::http) struct Body<T>(pub(in crate::http) T);

/// A body that may be absent.
#[derive(Debug)]
pub(in crate::http) struct OptionalBody<T>(pub(in crate::http) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        match read(request, api.requests).await? {
            Some(text) => parse(&text).map(|Object(value)| Self(value)),
            None => Err(Invalid::new("body", "is empty; send a JSON object").into()),
        }
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Api>> for OptionalBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        match read(request, api.requests).await? {
            // `null` is how some clients write that there is nothing.
            Some(text) => {
                let given: Option<Object<T>> = parse(&text)?;
                Ok(Self(given.map(|Object(value)| value).unwrap_or_default()))
            }
            None => Ok(Self(T::default())),
        }
    }
}

/// The body's text; none if it is empty.
async fn read(request: Request, limits: RequestLimits) -> Result<Option<String>, Failure> {
    let (parts, body) = request.into_parts();
    let Ok(read) = tokio::time::timeout(limits.body_timeout, bytes_of(body, limits)).await else {
        let what = format!("did not arrive within {} ms", limits.body_timeout.as_millis());
        return Err(Invalid::new("body", what).into());
    };
    let bytes = read?;
    if bytes.is_empty() {
        return Ok(None);
    }
    check_media_type(&parts.headers)?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|error| Invalid::new("body", format!("must be UTF-8: {error}")))?;
    Ok(Some(text))
}

/// Reads a little beyond the limit and throws it away: a client that is still sending when
/// the connection closes may never see why.
async fn bytes_of(mut body: axum::body::Body, limits: RequestLimits) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        // Nobody may be there to read this, but somebody who half-closed can be.
        let frame = frame.map_err(|error| Invalid::new("body", error))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= limits.max_bytes {
            bytes.extend_from_slice(&data);
        } else if length > limits.max_bytes.saturating_mul(DISCARDED) {
            break;
        }
    }
    if length > limits.max_bytes {
        let detail = format!("the body must be at most {} bytes long", limits.max_bytes);
        return Err(Failure::new(ProblemCode::PayloadTooLarge, detail));
    }
    Ok(bytes)
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

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let mut from = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        // Where the text is no JSON at all, the path is only how far it was read.
        let field = if error.is_data() && path != "." { path.as_str() } else { "body" };
        Invalid::new(field, error)
    })?;
    from.end().map_err(|error| Invalid::new("body", error))?;
    Ok(value)
}
