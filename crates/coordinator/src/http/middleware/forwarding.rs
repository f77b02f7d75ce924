//! Requests about a transaction that another node drives: they are answered by that one, whichever
//! node was asked. Every request may be repeated, so they are until somebody answers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;
use tercet_engine::{Snapshot, StoredTransaction, Transaction};
use tercet_wire::{Gid, Incarnation, Mono, Problem, ProblemCode};
use tokio::time::sleep;
use url::form_urlencoded;

use crate::access::Caller;
use crate::cluster::{Forwarder, LOOK_AGAIN, NotPassed};
use crate::http::extract::body::{HasRoom, whole};
use crate::http::middleware::passed::{PassedOn, is_of_one};
use crate::http::response::problem::Failure;
use crate::http::state::RequestLimits;
use crate::metrics::{Forwarded, ForwardingMetrics};
use crate::pauses::Pauses;

/// A read that waits for nothing is not kept waiting for longer: then it is answered by the rows.
const FRESH_WITHIN: Duration = Duration::from_secs(1);

/// How long an answer is waited for unless the request says otherwise, and at most.
const DEFAULT_WAIT_MS: u64 = 10_000;
const MAX_WAIT_MS: u64 = 60_000;

/// On an answer: it is another life's to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct DrivenBy(pub(in crate::http) Incarnation);

/// On a read: it is answered by what the rows have, and nobody who drives the transaction is asked.
#[derive(Debug, Clone)]
pub(in crate::http) struct FromRows(pub(in crate::http) Arc<Snapshot>);

/// What is worked with.
#[derive(Clone)]
pub(in crate::http) struct Forwarding {
    pub(in crate::http) forwarder: Arc<Forwarder>,
    pub(in crate::http) requests: RequestLimits,
    pub(in crate::http) metrics: ForwardingMetrics,
    pub(in crate::http) pauses: Pauses,
    /// Whether anybody is asked who they are.
    pub(in crate::http) has_rules: bool,
}

/// Lets this node answer, and passes on what is another's to answer.
pub(in crate::http) async fn forwarding(
    State(around): State<Forwarding>,
    request: Request,
    next: Next,
) -> Response {
    if !is_of_one(&request) {
        return next.run(request).await;
    }
    match around.answered(request, next).await {
        Ok(answer) => answer,
        Err(failure) => failure.into_response(),
    }
}

impl Forwarding {
    async fn answered(&self, request: Request, next: Next) -> Result<Response, Failure> {
        let (mut parts, body) = request.into_parts();
        // What was passed on once goes no further, whatever its headers say.
        let was_passed_on = parts.extensions.get::<PassedOn>().is_some();
        // Reads have none that anybody looks at; what was passed on has been read.
        let (body, _place) = match parts.method {
            Method::GET | Method::HEAD => (Bytes::new(), None),
            _ if was_passed_on => (received(body).await?, None),
            _ => whole(&parts.headers, body, &self.requests).await?,
        };
        parts.extensions.insert(HasRoom);
        let caller = Caller::of(&parts);
        let began = self.forwarder.now().mono;
        let wait = Wait::of(&parts, self.forwarder.patience);
        let mut was_refused = false;
        loop {
            if let Some(answer) = self.without_lease(&parts, next.clone()).await {
                return answer;
            }
            wait.shorten(&mut parts, began, self.forwarder.now().mono);
            let answer = next.clone().run(again(&parts, &body)).await;
            let Some(DrivenBy(owner)) = answer.extensions().get::<DrivenBy>().copied() else {
                return Ok(answer);
            };
            // Whoever passed it on looks again who drives it.
            if was_passed_on {
                self.metrics.count(Forwarded::NotOurs);
                return Ok(answer);
            }
            let left = wait.left(began, self.forwarder.now().mono);
            let why = match self.forwarder.ask(owner, (&parts, &body), &caller, left.one).await {
                // Once more where nothing was done: it may have been the end of who was asked.
                Ok(answer) if !is_another_asked(&answer, &mut was_refused) => {
                    self.metrics.count(Forwarded::Answered);
                    return Ok(answer.map(Body::from).into_response());
                }
                Ok(_) => None,
                Err(why) => Some(why),
            };
            if left.all.is_zero() {
                return self.unreachable((&parts, next), &wait, owner, why).await;
            }
            sleep(LOOK_AGAIN.min(left.all)).await;
        }
    }

    /// The answer to a read where another node may drive by now what this one has in memory: that is
    /// no truth any more, the rows are.
    async fn without_lease(&self, parts: &Parts, next: Next) -> Option<Result<Response, Failure>> {
        if !is_read(&parts.method) || self.forwarder.has_lease() {
            return None;
        }
        let gid = gid_of(parts)?;
        match tokio::time::timeout(FRESH_WITHIN, self.forwarder.stored(&gid)).await {
            Ok(Ok(stored)) => {
                let stored = stored?;
                self.metrics.count(Forwarded::FromRows);
                Some(Ok(self.shown(&stored, (parts, next)).await))
            }
            Ok(Err(_)) | Err(_) => {
                let detail = "this node cannot say: it has not reached the database for so long that \
                              another may drive the transaction; ask again";
                Some(Err(Failure::new(ProblemCode::JournalUnavailable, detail).about(&gid)))
            }
        }
    }

    /// What was asked for, of the transaction as the rows have it.
    async fn shown(&self, stored: &StoredTransaction, (parts, next): (&Parts, Next)) -> Response {
        let now = self.forwarder.now();
        let (transaction, paused) = (Transaction::restore(stored, now), self.pauses.all());
        let snapshot = Snapshot { transaction, at: now, paused };
        let mut request = again(parts, &Bytes::new());
        request.extensions_mut().insert(FromRows(Arc::new(snapshot)));
        next.run(request).await
    }

    /// Nobody has answered in time. A read is answered by what is durable.
    async fn unreachable(
        &self,
        (parts, next): (&Parts, Next),
        wait: &Wait,
        owner: Incarnation,
        why: Option<NotPassed>,
    ) -> Result<Response, Failure> {
        let gid = gid_of(parts);
        if let (true, Some(gid)) = (wait.is_plain_read, &gid)
            && let Ok(Some(stored)) = self.forwarder.stored(gid).await
        {
            self.metrics.count(Forwarded::FromRows);
            return Ok(self.shown(&stored, (parts, next)).await);
        }
        self.metrics.count(Forwarded::Unreachable);
        let why: Option<&(dyn std::error::Error + 'static)> = why.as_ref().map(|why| why as _);
        tracing::warn!(
            event = "owner_unreachable",
            owner = owner.0,
            error = why,
            "the node that drives a transaction did not answer in time"
        );
        let detail = "the node that drives it does not answer, and nobody has taken it over yet: what \
                      became of the request is unknown; send it again, with the same gid";
        let failure = Failure::new(ProblemCode::OwnerUnreachable, detail);
        Err(match &gid {
            Some(gid) => failure.about(gid),
            None => failure,
        })
    }
}

/// Whether who was asked says that it is not, or not yet, or no more for it to answer.
fn is_another_asked(answer: &http::Response<Bytes>, was_refused: &mut bool) -> bool {
    let code = || serde_json::from_slice::<Problem>(answer.body()).map(|problem| problem.code);
    match answer.status() {
        // It does not take this node for one, or the request for its own life's.
        StatusCode::MISDIRECTED_REQUEST | StatusCode::UNAUTHORIZED => true,
        StatusCode::SERVICE_UNAVAILABLE => match code() {
            Ok(ProblemCode::ShuttingDown | ProblemCode::NotReady) => true,
            Ok(ProblemCode::NotAccepted) => !std::mem::replace(was_refused, true),
            Ok(_) | Err(_) => false,
        },
        _ => false,
    }
}

/// A body that is there already.
async fn received(body: Body) -> Result<Bytes, Failure> {
    let collected = body.collect().await.map_err(|_| Failure::internal())?;
    Ok(collected.to_bytes())
}

/// The same request once more.
fn again(parts: &Parts, body: &Bytes) -> Request {
    Request::from_parts(parts.clone(), Body::from(body.clone()))
}

/// The transaction that the path names.
fn gid_of(parts: &Parts) -> Option<Gid> {
    let rest = parts.uri.path().strip_prefix("/v1/transactions/")?;
    percent_decode_str(rest.split('/').next()?).decode_utf8().ok()?.parse().ok()
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// How long is looked for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait {
    is_plain_read: bool,
    /// For somebody who answers.
    looks: Duration,
    /// For an answer of one who was asked.
    one: Duration,
    /// That was asked for.
    wait: Duration,
}

/// What is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    one: Duration,
    all: Duration,
}

impl Wait {
    /// As the request says. Whether what it says makes sense is for who answers it to say.
    fn of(parts: &Parts, patience: Duration) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let said = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        let is_plain_read = is_read(&parts.method) && said("wait").is_none();
        if is_plain_read {
            let wait = Duration::ZERO;
            return Self { is_plain_read, looks: FRESH_WITHIN, one: FRESH_WITHIN, wait };
        }
        let wait_ms = said("wait_ms").and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_WAIT_MS);
        let wait = Duration::from_millis(wait_ms.min(MAX_WAIT_MS));
        Self { is_plain_read, looks: wait.max(patience), one: wait + patience, wait }
    }

    /// Has what is asked again wait no longer than what is left of the time that was asked for.
    fn shorten(&self, parts: &mut Parts, began: Mono, now: Mono) {
        let passed = now.since(began);
        let query = parts.uri.query().unwrap_or_default();
        let pairs = || form_urlencoded::parse(query.as_bytes());
        if passed < LOOK_AGAIN || !pairs().any(|(key, _)| key == "wait_ms") {
            return;
        }
        let left = self.wait.saturating_sub(passed).as_millis().to_string();
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs().filter(|(key, _)| key != "wait_ms"))
            .append_pair("wait_ms", &left)
            .finish();
        // What was read from a URI can be written into one.
        if let Ok(uri) = format!("{}?{query}", parts.uri.path()).parse() {
            parts.uri = uri;
        }
    }

    fn left(&self, began: Mono, now: Mono) -> Left {
        let passed = now.since(began);
        let all = self.looks.saturating_sub(passed);
        // Who was asked late has some time all the same, or what it does would be told to nobody; a
        // read that waits for nothing has not.
        let least = if self.is_plain_read { Duration::ZERO } else { self.one - self.wait };
        let one = self.one.saturating_sub(passed).max(least);
        Left { one, all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: Method, uri: &str) -> Parts {
        Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::empty())
            .expect("a request")
            .into_parts()
            .0
    }

    #[test]
    fn the_transaction_is_that_of_the_path() {
        let gid = |uri: &str| gid_of(&parts(Method::GET, uri)).map(|gid| gid.to_string());
        assert_eq!(gid("/v1/transactions/order-1?wait=decided").as_deref(), Some("order-1"));
        assert_eq!(gid("/v1/transactions/order-1/branches/b/resolve").as_deref(), Some("order-1"));
        assert_eq!(
            gid("/v1/transactions/order%2D1").as_deref(),
            Some("order-1"),
            "as the route has it"
        );
        assert_eq!(gid("/v1/transactions"), None);
        assert_eq!(gid("/v1/transactions/%20"), None);
    }

    #[test]
    fn an_answer_is_looked_for_as_long_as_the_request_waits_and_a_read_for_a_moment() {
        let patience = Duration::from_secs(5);
        let wait = |method, uri: &str| Wait::of(&parts(method, uri), patience);
        let seconds = |wait: Wait| (wait.is_plain_read, wait.looks.as_secs(), wait.one.as_secs());
        let of = "/v1/transactions/x";
        assert_eq!(seconds(wait(Method::GET, of)), (true, 1, 1));
        assert_eq!(seconds(wait(Method::GET, "/v1/transactions/x?wait=finished")), (false, 10, 15));
        assert_eq!(seconds(wait(Method::POST, of)), (false, 10, 15));
        assert_eq!(
            seconds(wait(Method::POST, "/v1/transactions/x/confirm?wait_ms=2000")),
            (false, 5, 7)
        );
        let long = "/v1/transactions/x/confirm?wait_ms=99999999";
        assert_eq!(seconds(wait(Method::POST, long)), (false, 60, 65));
        let left = wait(Method::POST, of)
            .left(Mono::default(), Mono::default().after(Duration::from_secs(4)));
        assert_eq!(left, Left { one: Duration::from_secs(11), all: Duration::from_secs(6) });
        let left = wait(Method::GET, of)
            .left(Mono::default(), Mono::default().after(Duration::from_secs(4)));
        assert_eq!(left, Left { one: Duration::ZERO, all: Duration::ZERO });
    }

    #[test]
    fn what_is_asked_again_waits_for_what_is_left() {
        let again_after = |uri: &str, seconds| {
            let mut parts = parts(Method::POST, uri);
            let wait = Wait::of(&parts, Duration::from_secs(5));
            let now = Mono::default().after(Duration::from_secs(seconds));
            wait.shorten(&mut parts, Mono::default(), now);
            parts.uri.to_string()
        };
        let of = "/v1/transactions/x/confirm?wait_ms=60000&wait=decided";
        assert_eq!(again_after(of, 0), of);
        assert_eq!(again_after(of, 59), "/v1/transactions/x/confirm?wait=decided&wait_ms=1000");
        assert_eq!(again_after(of, 70), "/v1/transactions/x/confirm?wait=decided&wait_ms=0");
        // Not all take it.
        let of = "/v1/transactions/x/retry";
        assert_eq!(again_after(of, 70), of);
    }
}
