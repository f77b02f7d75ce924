//! Requests that are repeated until they are answered.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use reqwest::redirect;
use serde::de::DeserializeOwned;
use tercet_wire::{Backoff, Gid, Problem, header, parse_retry_after};

use super::error::ClientError;
use super::tls::Tls;
use crate::clock;

/// How often a request is made before it is given up: with the pauses, ten seconds or so of an
/// absent coordinator are bridged.
const ATTEMPTS: u32 = 10;
/// The pauses between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(3) };
/// The longest `Retry-After` that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer than its wait an answer may take.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);
/// How much of an unexpected body is kept.
const EXCERPT_CHARS: usize = 200;

/// The connection to a coordinator.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    /// Without a slash at the end.
    base: String,
    bearer: Option<HeaderValue>,
}

/// What a request carries; the same to the byte each time it is made.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// JSON.
    pub(super) body: Option<String>,
    /// W3C trace context.
    pub(super) traceparent: Option<HeaderValue>,
}

impl Sent {
    pub(super) fn body(body: String) -> Self {
        Self { body: Some(body), traceparent: None }
    }
}

/// An answer: not a 429, 502, 503 or 504.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: String,
}

impl Http {
    pub(super) fn new(
        url: &str,
        bearer: Option<HeaderValue>,
        tls: &Tls,
    ) -> Result<Self, ClientError> {
        let wrong = |why: String| ClientError::Url { url: url.to_owned(), why };
        let parsed = reqwest::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong(format!("its scheme is {}", parsed.scheme())));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong("it has a query or a fragment".to_owned()));
        }
        // Whoever came first has chosen the process's TLS provider, and is right.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        let client = tls.of(client)?.build().map_err(ClientError::Setup)?;
        Ok(Self { client, base: parsed.as_str().trim_end_matches('/').to_owned(), bearer })
    }

    pub(super) async fn get(
        &self,
        path: &str,
        gid: &Gid,
        wait: Duration,
    ) -> Result<Reply, ClientError> {
        self.send(Method::GET, path, gid, Sent::default(), wait).await
    }

    pub(super) async fn post(
        &self,
        path: &str,
        gid: &Gid,
        sent: Sent,
        wait: Duration,
    ) -> Result<Reply, ClientError> {
        self.send(Method::POST, path, gid, sent, wait).await
    }

    /// Asks once, and waits no longer than that for the answer.
    #[cfg(feature = "sea-orm")]
    pub(super) async fn once(
        &self,
        method: &Method,
        path: &str,
        sent: &Sent,
        patience: Duration,
    ) -> Result<(StatusCode, String), Failed> {
        let url = format!("{}{path}", self.base);
        let request = self.request(method, &url, sent, Duration::ZERO).timeout(patience);
        attempt(request).await.map(|Reply { status, body }| (status, body))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        gid: &Gid,
        sent: Sent,
        wait: Duration,
    ) -> Result<Reply, ClientError> {
        let url = format!("{}{path}", self.base);
        let mut attempts = 1;
        loop {
            let request = self.request(&method, &url, &sent, wait);
            let failed = match attempt(request).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            if attempts >= ATTEMPTS {
                let last = failed.why;
                return Err(ClientError::Unanswered { gid: gid.clone(), attempts, last });
            }
            tracing::debug!(%gid, attempts, why = failed.why, "asked again");
            tokio::time::sleep(BACKOFF.pause(attempts, clock::entropy(), failed.asked)).await;
            attempts += 1;
        }
    }

    /// A request whose answer may take as long as it asks the coordinator to wait, and longer.
    fn request(
        &self,
        method: &Method,
        url: &str,
        sent: &Sent,
        wait: Duration,
    ) -> reqwest::RequestBuilder {
        let request = self.client.request(method.clone(), url);
        let mut request = request.timeout(wait.saturating_add(ANSWER_MARGIN));
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(body) = &sent.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some(traceparent) = &sent.traceparent {
            request = request.header(header::TRACEPARENT, traceparent);
        }
        request
    }
}

/// An attempt after which the same request is made again.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: String,
    /// The least pause before that.
    pub(super) asked: Option<Duration>,
}

async fn attempt(request: reqwest::RequestBuilder) -> Result<Reply, Failed> {
    let unanswered = |error: reqwest::Error| Failed { why: with_causes(&error), asked: None };
    let response = request.send().await.map_err(unanswered)?;
    let status = response.status();
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|asked| parse_retry_after(asked, clock::now()));
    let asked = asked.map(|asked| asked.min(RETRY_AFTER_MAX));
    let body = response.text().await.map_err(unanswered)?;
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Err(Failed { why: format!("answered {status}: {}", excerpt(&body)), asked })
        }
        _ => Ok(Reply { status, body }),
    }
}

impl Reply {
    /// The body of a success; a problem or something else is an error.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let unexpected =
            || ClientError::Unexpected { status: self.status.as_u16(), body: excerpt(&self.body) };
        if self.status.is_success() {
            return serde_json::from_str(&self.body).map_err(|_| unexpected());
        }
        match serde_json::from_str::<Problem>(&self.body) {
            Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
            Err(_) => Err(unexpected()),
        }
    }
}

fn excerpt(body: &str) -> String {
    body.chars().take(EXCERPT_CHARS).collect()
}

/// reqwest names the cause only in its sources, and "connection refused" is what people look for.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_given_up_before_the_wait_it_was_asked_for() {
        let http = Http::new("http://127.0.0.1:1", None, &Tls::default()).expect("a client");
        for wait in [Duration::ZERO, Duration::from_secs(10), Duration::from_secs(60)] {
            let request = http.request(&Method::GET, "http://127.0.0.1:1/", &Sent::default(), wait);
            let request = request.build().expect("a request");
            assert!(request.timeout().is_some_and(|timeout| *timeout > wait), "{wait:?}");
        }
    }
}
