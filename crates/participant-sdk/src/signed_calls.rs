//! Calls that are signed by whoever shares a secret with this service, and no others.
//!
//! ```text
//!  request ─▶ headers: all there? signed around now? of this call? ─▶ body, bounded ─▶ signature ─▶ inner
//!                 └──────────────── 401 ───────────────┘              └─ 413           └─ 401
//! ```

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tercet_wire::{InvalidSigningKey, Signed, SigningKey, Unverified, Wall, call_id, header};
use tower::{Layer, Service, ServiceExt};

use crate::clock;
use crate::problem::problem;

/// What a request's body may have unless somebody says otherwise: what the router takes.
const BODY_BYTES: usize = 1024 * 1024;

/// A [`tower::Layer`] that lets through only what is signed by one of its secrets, as
/// [Standard Webhooks](https://www.standardwebhooks.com) says. Give the coordinator the same secret for this service's
/// host and port (`[[participants.signing]]`), and put the layer on the participant's router: it is for calls of
/// a coordinator alone, so nothing that others ask for belongs under it.
///
/// | a request comes | and is answered |
/// |---|---|
/// | without one of `webhook-id`, `webhook-timestamp`, `webhook-signature` | 401 `unsigned` |
/// | with a timestamp more than five minutes off | 401 `unsigned` |
/// | with an id that is not that of the call its `Tercet-…` headers tell of | 401 `unsigned` |
/// | with a body beyond the bound (1 MiB) | 413 `payload-too-large` |
/// | with a signature by none of the secrets, or of another body | 401 `unsigned` |
/// | otherwise | by what is under the layer |
///
/// To change a secret without a gap, give the new one to the participants beside the old one, then to the
/// coordinator as its first, then take the old one from the participants.
///
/// ```
/// use axum::{Router, routing::post};
/// use tercet_participant::SignedCalls;
///
/// # async fn try_() {}
/// # fn read_from_a_file() -> Vec<String> { vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()] }
/// let secrets: Vec<String> = read_from_a_file();
/// let signed = SignedCalls::new(&secrets)?;
/// // In place of these three routes stands `tercet_participant::router(payment, store)`.
/// let calls: Router = Router::new().route("/try", post(try_)).layer(signed);
/// let app = Router::new().nest("/payment", calls);
/// # Ok::<(), tercet_participant::InvalidSigningKey>(())
/// ```
#[derive(Debug, Clone)]
pub struct SignedCalls(Arc<Settings>);

#[derive(Debug, Clone)]
struct Settings {
    keys: Vec<SigningKey>,
    body_bytes: usize,
}

impl SignedCalls {
    /// Lets through what is signed by any of these secrets, `whsec_` and base64 each. Without any, nobody is
    /// let through.
    ///
    /// # Errors
    /// One of them is no secret. It is not said which, nor what it is.
    pub fn new<S: AsRef<str>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidSigningKey> {
        let keys = secrets.into_iter().map(|secret| secret.as_ref().parse());
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Settings { keys, body_bytes: BODY_BYTES })))
    }

    /// The largest body, in bytes.
    #[must_use]
    pub fn body_bytes(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.0).body_bytes = bytes;
        self
    }
}

impl<S> Layer<S> for SignedCalls {
    type Service = SignedCallsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SignedCallsService { inner, settings: Arc::clone(&self.0) }
    }
}

/// What [`SignedCalls`] makes of a service.
#[derive(Debug, Clone)]
pub struct SignedCallsService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> Service<Request> for SignedCallsService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The inner service is asked once it is known that the call may come to it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (inner, settings) = (self.inner.clone(), Arc::clone(&self.settings));
        Box::pin(async move {
            match verified(&settings, request, clock::now()).await {
                Ok(request) => inner.oneshot(request).await,
                Err(refusal) => Ok(refusal),
            }
        })
    }
}

/// The request with its body read, if it is signed; else the answer.
async fn verified(settings: &Settings, request: Request, now: Wall) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    // What costs nothing comes first: a stranger's body is not even read.
    let signed = signed_now(&parts.headers, now).map_err(unsigned)?;
    let Ok(body) = to_bytes(body, settings.body_bytes).await else {
        let detail =
            format!("the body could not be read, or is over {} bytes", settings.body_bytes);
        return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", &detail));
    };
    signed.check_signature(&settings.keys, &body).map_err(unsigned)?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn signed_now(headers: &HeaderMap, now: Wall) -> Result<Signed<'_>, Unverified> {
    let header = |name| only(headers, name);
    let signed = Signed::read(header)?;
    signed.check_time(now)?;
    // Only the id is under the signature: what the other headers say of the call must be what it says.
    if signed.id != call_id(header) { Err(Unverified::Id) } else { Ok(signed) }
}

/// A header's value. One that is there twice says nothing: others might read the other one.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

fn unsigned(why: Unverified) -> Response {
    tracing::warn!(%why, "a call that is not signed as it must be");
    problem(StatusCode::UNAUTHORIZED, "unsigned", &why.to_string())
}

/// Signs a call as the coordinator does, by what its headers say of it.
pub(crate) fn sign(headers: &mut HeaderMap, key: &SigningKey, body: &[u8], timestamp: i64) {
    let id = call_id(|name| only(headers, name));
    let signature = key.sign(&id, timestamp, body);
    for (name, value) in [
        (header::WEBHOOK_ID, HeaderValue::try_from(id)),
        (header::WEBHOOK_TIMESTAMP, Ok(HeaderValue::from(timestamp))),
        (header::WEBHOOK_SIGNATURE, HeaderValue::try_from(signature)),
    ] {
        // All are letters, digits and signs, whatever the headers were.
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use tercet_wire::webhook_timestamp;

    use super::*;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    const BODY: &str = r#"{"amount":1}"#;

    fn call() -> HeaderMap {
        let usual = [
            (header::GID, "order.1"),
            (header::BRANCH, "payment"),
            (header::INSTANCE, "0193b6a0-0000-7000-8000-000000000001"),
            (header::OP, "try"),
        ];
        let read = |(name, value): (&'static str, &'static str)| {
            (name.parse::<http::HeaderName>().expect(name), HeaderValue::from_static(value))
        };
        usual.map(read).into_iter().collect()
    }

    fn signed_by(secret: &str, off_seconds: i64) -> HeaderMap {
        let mut headers = call();
        let key = secret.parse().expect("a key");
        let timestamp = webhook_timestamp(clock::now()) + off_seconds;
        sign(&mut headers, &key, BODY.as_bytes(), timestamp);
        headers
    }

    async fn asked(layer: SignedCalls, headers: HeaderMap, body: &str) -> (u16, String) {
        let app =
            Router::new().route("/try", post(|body: String| async move { body })).layer(layer);
        let mut request =
            Request::post("/try").body(Body::from(body.to_owned())).expect("a request");
        *request.headers_mut() = headers;
        let response = app.oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        if status == 401 {
            assert_eq!(response.headers()["content-type"], "application/problem+json");
        }
        let body = to_bytes(response.into_body(), 10_000).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    fn by(secrets: &[&str]) -> SignedCalls {
        SignedCalls::new(secrets).expect("secrets")
    }

    #[tokio::test]
    async fn what_any_of_the_secrets_signed_comes_through_whole() {
        for secret in [OLD, NEW] {
            let (status, body) = asked(by(&[NEW, OLD]), signed_by(secret, 0), BODY).await;
            assert_eq!((status, body.as_str()), (200, BODY));
        }
        for off in [-295, 295] {
            assert_eq!(asked(by(&[OLD]), signed_by(OLD, off), BODY).await.0, 200, "{off}");
        }
    }

    #[tokio::test]
    async fn what_is_not_signed_as_it_must_be_is_refused() {
        let without = |name: &str| {
            let mut headers = signed_by(OLD, 0);
            headers.remove(name).expect("it was there");
            headers
        };
        let with = |name: &'static str, value: &'static str| {
            let mut headers = signed_by(OLD, 0);
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        let mut twice = signed_by(OLD, 0);
        twice.append(header::GID, HeaderValue::from_static("order-2"));
        for (headers, body, why) in [
            (call(), BODY, "webhook-id is missing"),
            (without(header::WEBHOOK_TIMESTAMP), BODY, "webhook-timestamp is missing"),
            (without(header::WEBHOOK_SIGNATURE), BODY, "webhook-signature is missing"),
            (signed_by(OLD, -305), BODY, "five minutes"),
            (signed_by(OLD, 305), BODY, "five minutes"),
            (signed_by(NEW, 0), BODY, "no signature by a secret"),
            (signed_by(OLD, 0), "{}", "no signature by a secret"),
            (with(header::WEBHOOK_SIGNATURE, "v1,"), BODY, "no signature by a secret"),
            // A signature of one call is none of another, even with the same body.
            (with(header::OP, "confirm"), BODY, "another call"),
            (with(header::GID, "order-1"), BODY, "another call"),
            (without(header::BRANCH), BODY, "another call"),
            (twice, BODY, "another call"),
        ] {
            let (status, told) = asked(by(&[OLD]), headers, body).await;
            assert_eq!(status, 401, "{told}");
            assert!(told.contains(why) && told.contains("\"unsigned\""), "{why}: {told}");
        }
        assert_eq!(asked(by(&[]), signed_by(OLD, 0), BODY).await.0, 401, "nobody is known");
    }

    #[tokio::test]
    async fn a_body_without_end_is_not_kept() {
        let long = "x".repeat(101);
        let mut headers = call();
        let key = OLD.parse().expect("a key");
        sign(&mut headers, &key, long.as_bytes(), webhook_timestamp(clock::now()));
        assert_eq!(asked(by(&[OLD]).body_bytes(100), headers.clone(), &long).await.0, 413);
        assert_eq!(asked(by(&[OLD]).body_bytes(101), headers, &long).await.0, 200);
        // Nobody's is not even read.
        assert_eq!(asked(by(&[OLD]).body_bytes(100), call(), &long).await.0, 401);
    }

    /// Those that other languages are held to, too. Where a call is sent to another URL than its headers say, the
    /// router refuses it.
    #[test]
    fn vectors_of_signatures_hold() {
        #[derive(Debug, serde::Deserialize)]
        struct Case {
            secrets: Vec<String>,
            now: i64,
            url: String,
            headers: std::collections::BTreeMap<String, String>,
            body: String,
            valid: bool,
        }
        #[derive(serde::Deserialize)]
        struct File {
            cases: Vec<Case>,
        }
        let text = include_str!("../../../sdk/vectors/signatures.json");
        let File { cases } = serde_json::from_str(text).expect("vectors");
        for case in cases {
            let read = |(name, value): (&String, &String)| {
                let name: http::HeaderName = name.parse().expect("a name");
                (name, HeaderValue::try_from(value).expect("a value"))
            };
            let headers: HeaderMap = case.headers.iter().map(read).collect();
            let secrets = case.secrets.iter().map(|secret| secret.parse().expect("a secret"));
            let keys: Vec<SigningKey> = secrets.collect();
            let let_through = signed_now(&headers, Wall(case.now * 1000))
                .and_then(|signed| signed.check_signature(&keys, case.body.as_bytes()))
                .is_ok();
            let elsewhere =
                case.headers.get(header::OP).is_some_and(|op| case.url.as_str() != op.as_str());
            assert_eq!(let_through && !elsewhere, case.valid, "{case:?}");
        }
    }

    #[test]
    fn secrets_are_in_no_print_and_no_error() {
        let shown = format!("{:?}", by(&[OLD, NEW]));
        assert!(!shown.contains("whsec") && !shown.contains("MfKQ9"), "{shown}");
        let error = SignedCalls::new([OLD, "whsec_s3cret"]).expect_err("no secret");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
}
