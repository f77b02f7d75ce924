//! One call, from the request to what is to be known of the answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tercet_clock::Clock;
use tercet_engine::{Call, Health, NoAnswer, health};
use tercet_wire::{
    Answer, BranchResult, Now, Op, RESULT_BYTES, Verdict, parse_retry_after, verdict, without_nul,
};
use tokio::time::sleep;
use url::Url;

use super::Outcome;
use super::request::{self, Unwritable};
use super::settings::DispatcherSettings;
use super::signing::{self, Signing};
use crate::outbound::{self, CallError, Connection, Connections, Connector, Sending};

/// As much of a body as is read: enough to use the connection again after any ordinary answer.
const BODY_MAX: usize = 64 * 1024;
/// As much of a body as is kept.
const EXCERPT_MAX: usize = 1024;
/// The longest character of UTF-8 that begins within the excerpt may end this much after it.
const CHAR_MAX: usize = 4;

/// What is said of a call that has used up its time; people look for what to change.
const TIMED_OUT: &str = "timeout after {} ms, the branch's timeout_ms";
/// The same of a call that is no branch's; its time is the contract's.
const TIMED_OUT_ASKING: &str = "timeout after {} ms";

/// Makes calls.
pub(super) struct HttpCall {
    connections: Connections,
    first_byte_timeout: Duration,
    signing: Signing,
    clock: Arc<dyn Clock>,
}

/// What came of a call.
pub(super) struct Exchanged {
    pub(super) outcome: Outcome,
    /// What it says of the destination.
    pub(super) health: Health,
}

/// How a call is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    /// By a connection of its own: it is a probe.
    pub(super) fresh: bool,
    /// When, and what its span is called by.
    pub(super) now: Now,
    /// Whether a collector is told of it.
    pub(super) sampled: bool,
}

impl HttpCall {
    pub(super) fn new(
        settings: &DispatcherSettings,
        connector: Connector,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let connector = connector.within(Arc::clone(&settings.call_rules));
        let connections = Connections::new(connector, settings.pool_idle_timeout);
        let (first_byte_timeout, signing) = (settings.first_byte_timeout, settings.signing.clone());
        Self { connections, first_byte_timeout, signing, clock }
    }

    /// Closes connections that are not used any more.
    pub(super) fn tidy(&self) {
        self.connections.tidy();
    }

    /// Closes the connections that are kept to this scheme, host and port.
    pub(super) fn forget(&self, origin: &str) {
        self.connections.forget(origin);
    }

    /// Makes a call, and waits for its answer, at most the branch's timeout from now.
    pub(super) async fn call(&self, call: &Call, url: &Url, how: Making) -> Exchanged {
        let Making { fresh, now, sampled } = how;
        let fresh = fresh || self.connections.wants_fresh(url, call.ticket.attempt);
        let mut short = None;
        let request = || self.request(call, url, (now.entropy, sampled));
        let how = Sending { fresh, short: &mut short };
        let timeout = call.branch.timeout;
        let timed_out = if call.ticket.asks { TIMED_OUT_ASKING } else { TIMED_OUT };
        let (first, what) = match self.first_byte_timeout {
            first if first.is_zero() || first >= timeout => (timeout, timed_out),
            first => (first, "no first byte after {} ms"),
        };
        // One timer for both halves.
        let mut timer = pin!(sleep(first));
        let sent = self.connections.send(url, request, how);
        let (mut connection, mut response) = match outbound::before(timer.as_mut(), sent).await {
            Some(Ok(answered)) => answered,
            Some(Err(CallError::Request(unwritable))) => {
                // A bug of ours says nothing of the participant.
                let health = Health::Unknown;
                return Exchanged { outcome: nothing(unwritable.to_string()), health };
            }
            Some(Err(error)) => {
                return match outbound::not_allowed(&error) {
                    Some(why) => not_allowed(why.to_string()),
                    None => failed(outbound::why(&error)),
                };
            }
            None if short.is_some() => {
                return Exchanged { outcome: Outcome::NotMade, health: Health::Unknown };
            }
            None => {
                self.connections.troubled(url, NoAnswer::Silent { since: now.mono });
                return failed(what.replace("{}", &first.as_millis().to_string()));
            }
        };
        let end = timer.deadline() + (timeout - first);
        timer.as_mut().reset(end);
        // The status line has decided: what becomes of the body changes nothing but the excerpt. Unless
        // it is the result of a Try that is done, and kept: then it is part of the answer.
        let code = response.status().as_u16();
        let is_kept = call.keeps_result() && is_success(code);
        let most = if is_kept { RESULT_BYTES + 1 } else { EXCERPT_MAX + CHAR_MAX };
        let mut beginning = Vec::new();
        let reading = read(&mut connection, response.body_mut(), most, &mut beginning);
        let end = outbound::before(timer, reading).await;
        match end {
            Some(End::Whole | End::BrokenOff) => self.connections.keep(url, code, connection),
            // Closed as it is: there is no order in what was broken off.
            Some(End::TooLong) | None => drop(connection),
        }
        let answer = match end {
            _ if !is_kept => Answer::Status {
                code,
                retry_after: self.retry_after(&response),
                excerpt: excerpt(&beginning),
            },
            _ if beginning.len() > RESULT_BYTES => {
                Answer::ResultTooLarge { code, excerpt: excerpt(&beginning) }
            }
            Some(End::Whole | End::TooLong) => {
                Answer::Result { code, result: BranchResult::of_body(&beginning) }
            }
            Some(End::BrokenOff) => return failed(format!("answered {code}, and broke off")),
            None => {
                self.connections.troubled(url, NoAnswer::Silent { since: now.mono });
                return failed(timed_out.replace("{}", &timeout.as_millis().to_string()));
            }
        };
        Exchanged { health: health(&answer), outcome: Outcome::Answered(answer) }
    }

    /// The request, signed if its receiver is to know by that whose it is: what is sent again is
    /// signed again.
    fn request(
        &self,
        call: &Call,
        url: &Url,
        span: (u64, bool),
    ) -> Result<Request<Full<Bytes>>, Unwritable> {
        let body = request::body(call);
        let mut request = request::request(call, url, body.clone(), span)?;
        if let Some(key) = self.signing.key_of(url) {
            signing::sign(&mut request, key, &body, self.clock.now().wall)?;
        }
        Ok(request)
    }

    fn retry_after(&self, response: &Response<Incoming>) -> Option<Duration> {
        let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        parse_retry_after(value, self.clock.now().wall)
    }
}

fn nothing(why: String) -> Outcome {
    Outcome::Answered(Answer::Nothing { why })
}

/// The participant was not asked, so nothing is said of it.
fn not_allowed(why: String) -> Exchanged {
    Exchanged { outcome: Outcome::Answered(Answer::NotAllowed { why }), health: Health::Unknown }
}

fn failed(why: String) -> Exchanged {
    Exchanged { outcome: nothing(why), health: Health::Failed }
}

/// How a body was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// To its end.
    Whole,
    /// Until it broke off.
    BrokenOff,
    /// Until it was longer than anybody needs: left unread, it takes its connection with it.
    TooLong,
}

/// Reads the body to its end, or until it is longer than anybody needs, and keeps its beginning: at
/// most so many bytes.
async fn read(
    connection: &mut Connection,
    body: &mut Incoming,
    most: usize,
    beginning: &mut Vec<u8>,
) -> End {
    let mut len = 0;
    while let Some(frame) = connection.next(body).await {
        let Ok(frame) = frame else { return End::BrokenOff };
        // Trailers say nothing that is asked for.
        let Ok(chunk) = frame.into_data() else { continue };
        let room = most.saturating_sub(beginning.len());
        beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        len += chunk.len();
        if len > BODY_MAX {
            return End::TooLong;
        }
    }
    End::Whole
}

/// Whether a Try that is answered so is done.
fn is_success(code: u16) -> bool {
    let status = Answer::Status { code, retry_after: None, excerpt: String::new() };
    verdict(Op::Try, &status) == Verdict::Done
}

/// The beginning of a body as text: at most 1 KiB, no half characters at its end, and no NUL, which
/// databases do not take.
fn excerpt(beginning: &[u8]) -> String {
    let beginning = &beginning[..beginning.len().min(EXCERPT_MAX + CHAR_MAX)];
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
        assert_eq!(excerpt(b"a\0b"), "a\u{fffd}b");
        assert!(excerpt(&[0; EXCERPT_MAX]).len() <= EXCERPT_MAX);
        assert_eq!(excerpt(b"no\0stock"), "no\u{fffd}stock");
    }
}
