//! A Try that the initiator calls itself.

use std::time::Duration;

use http::HeaderMap;
use tercet_wire::{Answer, Op, SigningKey, Verdict, verdict, webhook_timestamp};

use crate::clock;
use crate::context::Context;
use crate::signed_calls::sign;

/// A registered branch whose Try the initiator is to call: what the call says, and how its answer
/// is read. From
/// [`OpenTransaction::register_own_try`](super::OpenTransaction::register_own_try).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTry {
    /// What the call says: gid, branch, instance, attempt, deadline, trace.
    pub context: Context,
    /// Where it goes, if the branch was registered with an `endpoint` or a URL of Try.
    pub url: Option<String>,
}

impl OwnTry {
    /// The headers of the call. The participant cannot tell it from one of the coordinator's.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        self.context.headers()
    }

    /// The same, signed for a participant that lets through
    /// [what is signed](crate::SignedCalls) alone. `body` is the call's, to the byte; make the call within
    /// five minutes, and sign each attempt anew.
    #[must_use]
    pub fn signed_headers(&self, key: &SigningKey, body: &[u8]) -> HeaderMap {
        let mut headers = self.headers();
        sign(&mut headers, key, body, webhook_timestamp(clock::now()));
        headers
    }

    /// The next call is another attempt of the same Try. Its body must be the same.
    pub fn call_again(&mut self) {
        self.context.attempt = self.context.attempt.saturating_add(1);
    }

    /// What an answer means, as the coordinator would read it; `retry_after` as the participant
    /// sent it. No answer at all is like a 503: it may have been done, so call again.
    ///
    /// Only [`Verdict::Done`] allows a confirm. After [`Verdict::Refused`], or when you
    /// give up calling again, ask for cancel.
    #[must_use]
    pub fn verdict(&self, status: u16, retry_after: Option<Duration>) -> Verdict {
        let answer = Answer::Status { code: status, retry_after, excerpt: String::new() };
        verdict(Op::Try, &answer)
    }
}
