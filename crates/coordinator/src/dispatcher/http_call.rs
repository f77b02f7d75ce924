//! One call, from the request to what is to be known of the answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::RETRY_AFTER;
use hyper::body::Incoming;
use tercet_clock::Clock;
use tercet_engine::{Call, Health, health};
use tercet_wire::{Answer, parse_retry_after, without_nul};
use tokio::time::sleep;
use url::Url;

use super::connect::{Connector, StartError};
use super::connections::{CallError, Connection, Connections};
use super::settings::DispatcherSettings;
use super::{failure, request};

/// As much of a body as is read: enough to use the connection again after any ordinary answer.
const BODY_MAX: usize = 64 * 1024;
/// As much of a body as is kept.
const EXCERPT_MAX: usize = 1024;
/// The longest character of UTF-8 that begins within the excerpt may end this much after it.
const CHAR_MAX: usize = 4;

/// Makes calls.
pub(super) struct HttpCall {
    connections: Connections,
    first_byte_timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// What came of a call.
pub(super) struct Exchanged {
    pub(super) answer: Answer,
    /// What it says of the destination.
    pub(super) health: Health,
}

impl HttpCall {
    pub(super) fn new(
        settings: &DispatcherSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let connections = Connections::new(Connector::new(settings)?, settings.pool_idle_timeout);
        Ok(Self { connections, first_byte_timeout: settings.first_byte_timeout, clock })
    }

    /// Closes connections that are not used any more.
    pub(super) fn tidy(&self) {
        self.connections.tidy(self.clock.now().mono);
    }

    /// Makes a call, on a connection of its own if it is to be `fresh`, and waits for its
    /// answer, at most the branch's timeout from now.
    pub(super) async fn call(&self, call: &Call, url: &Url, fresh: bool) -> Exchanged {
        let now = self.clock.now();
        let request = match request::request(call, url, now.entropy) {
            Ok(request) => request,
            Err(unwritable) => {
                let answer = Answer::Nothing { why: unwritable.to_string() };
                return Exchanged { answer, health: Health::Unknown };
            }
        };
        let sent = self.connections.send(url, request, fresh, now.mono);
        let answer = self.answer(sent, url, fresh, call.branch.timeout).await;
        Exchanged { health: health(&answer), answer }
    }

    async fn answer(
        &self,
        sent: impl Future<Output = Result<(Connection, Response<Incoming>), CallError>>,
        url: &Url,
        fresh: bool,
        timeout: Duration,
    ) -> Answer {
        let (first, what) = match self.first_byte_timeout {
            first if first.is_zero() || first >= timeout => (timeout, "timeout"),
            first => (first, "no first byte"),
        };
        // One timer for both halves. An answer that is there when it fires still counts.
        let mut timer = pin!(sleep(first));
        let (mut connection, mut response) = tokio::select! {
            biased;
            sent = sent => match sent {
                Ok(answered) => answered,
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
        let is_whole = tokio::select! {
            biased;
            is_whole = read(&mut connection, response.body_mut(), &mut beginning) => is_whole,
            () = &mut timer => false,
        };
        match (is_whole, fresh) {
            (true, false) => self.connections.keep(url, connection, self.clock.now().mono),
            (true, true) => connection.close(),
            // Closed as it is: there is no order in what was broken off.
            (false, _) => drop(connection),
        }
        Answer::Status {
            code: response.status().as_u16(),
            retry_after: self.retry_after(&response),
            excerpt: excerpt(&beginning),
        }
    }

    fn retry_after(&self, response: &Response<Incoming>) -> Option<Duration> {
        let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        parse_retry_after(value, self.clock.now().wall)
    }
}

/// Reads the body to its end, or until it is longer than anybody needs, and keeps its
/// beginning. Whether it was read to its end: a body left unread takes its connection with it.
async fn read(connection: &mut Connection, body: &mut Incoming, beginning: &mut Vec<u8>) -> bool {
    let mut len = 0;
    // An error ends the body like its end does.
    while let Some(frame) = connection.next(body).await {
        // Trailers say nothing that is asked for.
        let Ok(chunk) = frame.into_data() else { continue };
        let room = (EXCERPT_MAX + CHAR_MAX).saturating_sub(beginning.len());
        beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        len += chunk.len();
        if len > BODY_MAX {
            return false;
        }
    }
    true
}

/// The beginning of a body as text: at most 1 KiB, no half characters at its end.
fn excerpt(beginning: &[u8]) -> String {
    let mut text = without_nul(&String::from_utf8_lossy(beginning)).into_owned();
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
        assert_eq!(excerpt(b"no\0stock"), "no\u{fffd}stock");
    }
}
