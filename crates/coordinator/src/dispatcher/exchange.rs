//! One call, from the request to what is to be known of the answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Request, Response, retry};
use tercet_protocol::{Answer, Call, Health, health};
use thiserror::Error;
use tokio::time::sleep;
use url::Url;

use super::settings::DispatcherSettings;
use super::{failure, request, retry_after};
use crate::clock::Clock;

/// As much of a body as is read: enough to use the connection again after any ordinary answer.
const BODY_MAX: usize = 64 * 1024;
/// As much of a body as is kept.
const EXCERPT_MAX: usize = 1024;
/// The longest character of UTF-8 that begins within the excerpt may end this much after it.
const CHAR_MAX: usize = 4;

/// The HTTP client could not be built.
#[derive(Debug, Error)]
#[error("the HTTP client for calls could not be built: {0}")]
pub struct StartError(#[from] reqwest::Error);

/// Makes calls.
pub(super) struct Exchange {
    client: Client,
    /// Keeps no connections, so that each call of it makes one.
    fresh: Client,
    first_byte_timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// What came of a call.
pub(super) struct Exchanged {
    pub(super) answer: Answer,
    /// What it says of the destination.
    pub(super) health: Health,
}

impl Exchange {
    pub(super) fn new(
        settings: &DispatcherSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        // Refused only where one is installed already, which then does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Several destinations can share a host, so a bound on its idle connections by one
        // destination's limit would have the others connect again and again. There are never
        // more than calls were under way within `idle_connection`.
        let builder = || client(settings).pool_max_idle_per_host(usize::MAX);
        let fresh = || client(settings).pool_max_idle_per_host(0);
        let (client, fresh) = match builder().build() {
            Ok(client) => (client, fresh().build()?),
            Err(error) => {
                // A container without certificate authorities still serves participants on http.
                tracing::warn!(
                    cause = %failure::roots(&error),
                    "no certificate authorities: participants on https cannot be called"
                );
                (builder().tls_certs_only([]).build()?, fresh().tls_certs_only([]).build()?)
            }
        };
        Ok(Self { client, fresh, first_byte_timeout: settings.first_byte_timeout, clock })
    }

    /// Makes a call, on a connection of its own if it is to be `fresh`, and waits for its
    /// answer, at most the branch's timeout from now.
    pub(super) async fn call(&self, call: &Call, url: &Url, fresh: bool) -> Exchanged {
        let request = match request::request(call, url, self.clock.now().luck) {
            Ok(request) => request,
            Err(unwritable) => {
                let answer = Answer::Nothing { why: unwritable.to_string() };
                return Exchanged { answer, health: Health::Unknown };
            }
        };
        let client = if fresh { &self.fresh } else { &self.client };
        let answer = self.answer(client, request, call.branch.timeout).await;
        Exchanged { health: health(&answer), answer }
    }

    async fn answer(&self, client: &Client, request: Request, timeout: Duration) -> Answer {
        let (first, what) = match self.first_byte_timeout {
            first if first.is_zero() || first >= timeout => (timeout, "timeout"),
            first => (first, "no first byte"),
        };
        // One timer for both halves. An answer that is there when it fires still counts.
        let mut timer = pin!(sleep(first));
        let mut response = tokio::select! {
            biased;
            response = client.execute(request) => match response {
                Ok(response) => response,
                Err(error) => return Answer::Nothing { why: failure::why(&error) },
            },
            () = &mut timer => {
                return Answer::Nothing { why: format!("{what} after {} ms", first.as_millis()) };
            }
        };
        let end = timer.deadline() + (timeout - first);
        timer.as_mut().reset(end);
        // The status line has decided: what becomes of the body changes nothing but the excerpt.
        let mut beginning = Vec::new();
        tokio::select! {
            biased;
            () = read(&mut response, &mut beginning) => {}
            () = &mut timer => {}
        }
        Answer::Status {
            code: response.status().as_u16(),
            retry_after: self.retry_after(&response),
            excerpt: excerpt(&beginning),
        }
    }

    fn retry_after(&self, response: &Response) -> Option<Duration> {
        let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        retry_after::parse(value, self.clock.now().wall)
    }
}

/// A client that does what it is told and nothing by itself.
fn client(settings: &DispatcherSettings) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("tercet/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(settings.idle_connection)
}

/// Reads the body to its end, or until it is longer than anybody needs, and keeps its
/// beginning. A body left unread takes its connection with it.
async fn read(response: &mut Response, beginning: &mut Vec<u8>) {
    let mut len = 0;
    // An error ends the body like its end does.
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = (EXCERPT_MAX + CHAR_MAX).saturating_sub(beginning.len());
        beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        len += chunk.len();
        if len > BODY_MAX {
            return;
        }
    }
}

/// The beginning of a body as text: at most 1 KiB, no half characters at its end.
fn excerpt(beginning: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(beginning).into_owned();
    text.truncate(text.floor_char_boundary(EXCERPT_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_ends_between_characters() {
        assert_eq!(excerpt(b"no stock"), "no stock");
        let body = format!("{}é and more", "x".repeat(1023));
        assert_eq!(excerpt(&body.as_bytes()[..EXCERPT_MAX + CHAR_MAX]), "x".repeat(1023));
        let body = format!("{}é and more", "x".repeat(1022));
        assert_eq!(excerpt(&body.as_bytes()[..EXCERPT_MAX + CHAR_MAX]).len(), 1024);
        assert!(excerpt(&[0xff; EXCERPT_MAX]).len() <= EXCERPT_MAX);
    }
}
