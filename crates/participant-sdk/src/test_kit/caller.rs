//! Calls as the coordinator makes them, and some as only a bad network does.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Url, redirect};
use tercet_wire::{
    Answer, FailureKind, Op, SigningKey, Verdict, parse_retry_after, verdict, webhook_timestamp,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::clock;
use crate::context::Context;
use crate::signed_calls::sign;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a call is made that does not settle.
const ATTEMPTS: u32 = 12;
/// The longest pause between two of them, also if the participant asks for a longer one: the kit
/// has many calls to make.
const PAUSE: Duration = Duration::from_millis(250);
/// A signature is good for five minutes.
const LONG_AGO_SECONDS: i64 = 600;
/// How much of a body is shown.
const EXCERPT_CHARS: usize = 80;

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) context: Context,
    pub(super) twist: Twist,
    pub(super) body: String,
}

/// What is odd about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twist {
    None,
    /// It has headers that nobody knows.
    UnknownHeaders,
    /// It lacks what is only a hint.
    NoHints,
    /// It says that it is the ninth attempt.
    NinthAttempt,
    /// It lacks a header that says which branch it is for.
    Without(&'static str),
    /// It is not signed.
    Unsigned,
    /// It is signed by a secret that nobody has given to the participant.
    SignedByAStranger,
    /// It was signed ten minutes ago.
    SignedLongAgo,
}

impl Twist {
    /// Why a participant must not do such a call, if it must not.
    pub(super) fn is_wrong(self) -> Option<String> {
        match self {
            Self::None | Self::UnknownHeaders | Self::NoHints | Self::NinthAttempt => None,
            Self::Without(name) => Some(format!("{name} is missing")),
            Self::Unsigned => Some("it is not signed".to_owned()),
            Self::SignedByAStranger => Some("it is signed by another secret".to_owned()),
            Self::SignedLongAgo => Some("it was signed ten minutes ago".to_owned()),
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// Whether it was done; `None` if no attempt settled it.
    pub(super) done: Option<bool>,
    /// Whether an attempt came before that nobody knows the effect of.
    pub(super) doubt: bool,
    /// How many attempts were made.
    pub(super) attempts: u32,
    /// The last answer, for people.
    pub(super) answer: String,
}

/// Makes calls. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    http: reqwest::Client,
    endpoint: String,
    /// What calls are signed with, if they are.
    key: Option<SigningKey>,
}

impl Caller {
    pub(super) fn new(endpoint: &str, key: Option<SigningKey>) -> Result<Self, String> {
        let url = Url::parse(endpoint).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() {
            return Err("it must be an http or https URL without a query".to_owned());
        }
        // Whoever came first has chosen the process's TLS provider, and is right.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http, endpoint: endpoint.trim_end_matches('/').to_owned(), key })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Makes a call until it is settled, as the coordinator does.
    pub(super) async fn settle(&self, mut call: Call) -> Ended {
        let mut attempts = 0;
        let mut doubt = false;
        loop {
            attempts += 1;
            let answer = self.once(&call).await;
            let (done, pause) = read(call.context.op, &answer);
            if done.is_some() || attempts == ATTEMPTS {
                return Ended { done, doubt, attempts, answer: in_words(&answer) };
            }
            doubt = true;
            tokio::time::sleep(pause).await;
            call.context.attempt += 1;
        }
    }

    async fn once(&self, call: &Call) -> Answer {
        let url = self.url(call.context.op);
        let request = self.http.post(url).headers(self.headers(call)).body(call.body.clone());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Answer::Nothing { why: error.to_string() },
        };
        let code = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, clock::now()));
        match response.text().await {
            Ok(body) => {
                let excerpt = body.chars().take(EXCERPT_CHARS).collect();
                Answer::Status { code, retry_after, excerpt }
            }
            Err(error) => Answer::Nothing { why: error.to_string() },
        }
    }

    /// Makes a call and hangs up after `patience` without having read an answer.
    pub(super) async fn hang_up(&self, call: &Call, patience: Duration) -> std::io::Result<()> {
        let url = Url::parse(&self.url(call.context.op)).map_err(std::io::Error::other)?;
        if url.scheme() == "https" {
            // Below TLS there is nothing to hang up on; dropping the request closes its connection.
            let request = self.http.post(url).headers(self.headers(call)).body(call.body.clone());
            let _unread = tokio::time::timeout(patience, request.send()).await;
            return Ok(());
        }
        let sockets = url.socket_addrs(|| None)?;
        let mut connection = TcpStream::connect(&sockets[..]).await?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let mut request =
            format!("POST {} HTTP/1.1\r\nhost: {host}:{port}\r\n", url.path()).into_bytes();
        for (name, value) in &self.headers(call) {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        let length = call.body.len();
        request.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
        request.extend_from_slice(call.body.as_bytes());
        connection.write_all(&request).await?;
        connection.flush().await?;
        tokio::time::sleep(patience).await;
        Ok(())
    }

    /// A call's headers, signed if there is a secret.
    fn headers(&self, call: &Call) -> HeaderMap {
        let mut headers = call.headers();
        let Some(key) = &self.key else { return headers };
        let now = webhook_timestamp(clock::now());
        let (key, timestamp) = match call.twist {
            Twist::Unsigned => return headers,
            Twist::SignedByAStranger => (&key.of_a_stranger(), now),
            Twist::SignedLongAgo => (key, now - LONG_AGO_SECONDS),
            Twist::None
            | Twist::UnknownHeaders
            | Twist::NoHints
            | Twist::NinthAttempt
            | Twist::Without(_) => (key, now),
        };
        sign(&mut headers, key, call.body.as_bytes(), timestamp);
        headers
    }

    fn url(&self, op: Op) -> String {
        format!("{}/{op}", self.endpoint)
    }
}

impl Call {
    fn headers(&self) -> HeaderMap {
        let mut context = self.context.clone();
        if self.twist == Twist::NinthAttempt {
            context.attempt = 9;
        }
        let mut headers = context.headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self.twist {
            Twist::None
            | Twist::NinthAttempt
            | Twist::Unsigned
            | Twist::SignedByAStranger
            | Twist::SignedLongAgo => {}
            Twist::UnknownHeaders => {
                for name in ["tercet-later", "x-forwarded-for", "tracestate"] {
                    let unknown = HeaderValue::from_static("kit=1");
                    headers.insert(HeaderName::from_static(name), unknown);
                }
            }
            Twist::NoHints => {
                for hint in ["tercet-attempt", "tercet-deadline", "traceparent"] {
                    headers.remove(hint);
                }
            }
            Twist::Without(name) => {
                headers.remove(name);
            }
        }
        headers
    }
}

/// Whether an answer settles the call, and the pause before the next one if not.
fn read(op: Op, answer: &Answer) -> (Option<bool>, Duration) {
    match verdict(op, answer) {
        Verdict::Done => (Some(true), PAUSE),
        Verdict::Refused => (Some(false), PAUSE),
        // The coordinator would go on and tell people; what the participant says is clear.
        Verdict::Again {
            failure: FailureKind::Permanent | FailureKind::ReservationLost | FailureKind::NotAllowed,
            ..
        } => (Some(false), PAUSE),
        Verdict::Again { failure: FailureKind::Transient, pause } => {
            (None, pause.unwrap_or(PAUSE / 10).min(PAUSE))
        }
        Verdict::InProgress(pause) => (None, pause.min(PAUSE)),
    }
}

fn in_words(answer: &Answer) -> String {
    match answer {
        Answer::Status { code, excerpt, .. } if excerpt.is_empty() => code.to_string(),
        Answer::Status { code, excerpt, .. } => {
            format!("{code} {}", excerpt.replace(char::is_whitespace, " "))
        }
        Answer::Nothing { why } => format!("no answer: {why}"),
        // It asks for no results, and calls whomever it is told to.
        Answer::Result { .. } | Answer::ResultTooLarge { .. } | Answer::NotAllowed { .. } => {
            answer.summary()
        }
    }
}
