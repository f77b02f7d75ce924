//! One request with a key, from claim to answer.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::Response;
use tower::{Service, ServiceExt};

use super::answer::{KeptAnswer, is_final};
use super::key::{self, IdempotencyKey};
use super::layer::{KeyPolicy, Settings};
use super::store::{Claim, Request};
use crate::clock;
use crate::problem::{problem, with_retry_after};

/// When a request that met another one, or no room, should come again, in seconds.
const PAUSE_SECONDS: u64 = 1;

/// Answers a request that may have a key.
pub(super) async fn answer<S>(
    settings: Arc<Settings>,
    inner: S,
    request: axum::extract::Request,
) -> Response
where
    S: Service<axum::extract::Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let key = match key::read(request.headers()) {
        Ok(Some(key)) => key,
        Ok(None) => match settings.policy {
            KeyPolicy::Optional => return infallible(inner.oneshot(request).await),
            KeyPolicy::Required => {
                let detail = "this request needs an Idempotency-Key";
                return problem(StatusCode::BAD_REQUEST, "idempotency-key-missing", detail);
            }
        },
        Err(error) => {
            let detail = error.to_string();
            return problem(StatusCode::BAD_REQUEST, "idempotency-key-invalid", &detail);
        }
    };
    let (mut parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, settings.request_bytes).await else {
        let detail =
            format!("the body could not be read, or is over {} bytes", settings.request_bytes);
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", &detail);
    };
    let claimant = Request {
        key: key::stored_as(&key, &parts.headers, &settings.separate_by),
        fingerprint: key::fingerprint(&parts, &body),
        owner: clock::entropy().cast_signed(),
    };
    let (early, late) = (clock::early(), clock::late());
    let terms = settings.terms.by_two_clocks(early, late);
    let claim = settings.store.claim(&claimant, terms, early.0).await;
    match claim {
        Ok(Claim::Run) => {}
        Ok(other) => return without_running(other),
        Err(error) => {
            tracing::error!(%error, "a key could not be claimed");
            return come_again("key-store-unavailable", "the store of keys did not answer");
        }
    }
    parts.extensions.insert::<IdempotencyKey>(key);
    let request = axum::extract::Request::from_parts(parts, Body::from(body));
    // In a task of its own: it goes on when the client hangs up, and the key learns how it ended.
    let running = tokio::spawn(run(Arc::clone(&settings), claimant.clone(), inner, request));
    match running.await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a handler broke off");
            release(&settings, &claimant).await;
            problem(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the request broke off")
        }
    }
}

fn infallible(answered: Result<Response, Infallible>) -> Response {
    match answered {
        Ok(response) => response,
    }
}

/// The answer of a claim that does not lead to the handler.
fn without_running(claim: Claim) -> Response {
    match claim {
        Claim::Done(Some(kept)) => kept.replay(),
        Claim::Done(None) => {
            let detail = "this request was done before, but its answer was too large to keep";
            problem(StatusCode::CONFLICT, "answer-not-kept", detail)
        }
        Claim::Running => {
            let detail = "the first request with this key is still running";
            let answer = problem(StatusCode::CONFLICT, "request-running", detail);
            with_retry_after(PAUSE_SECONDS, answer)
        }
        Claim::OtherRequest => {
            let detail = "this key was used for another request";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail)
        }
        // `Run` has been taken care of; both mean that nothing was run.
        Claim::Full | Claim::Run => come_again("too-many-keys", "too many requests are running"),
    }
}

fn come_again(code: &str, detail: &str) -> Response {
    with_retry_after(PAUSE_SECONDS, problem(StatusCode::SERVICE_UNAVAILABLE, code, detail))
}

/// Runs the handler, renewing the lease meanwhile, and keeps its answer.
async fn run<S>(
    settings: Arc<Settings>,
    claimant: Request,
    inner: S,
    request: axum::extract::Request,
) -> Response
where
    S: Service<axum::extract::Request, Response = Response, Error = Infallible>,
{
    let mut handler = pin!(inner.oneshot(request));
    let response = loop {
        tokio::select! {
            answered = &mut handler => break infallible(answered),
            () = tokio::time::sleep(settings.terms.lease / 3) => {
                let until_ms = settings.terms.lease_until_ms(clock::late().0);
                if let Err(error) = settings.store.renew(&claimant, until_ms).await {
                    tracing::warn!(%error, "the lease of a key could not be renewed");
                }
            }
        }
    };
    let (parts, body) = response.into_parts();
    // The handler's own answer is given whole, whatever its size; only what is kept is bounded.
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "a handler's answer broke off");
            release(&settings, &claimant).await;
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the answer broke off");
        }
    };
    if is_final(parts.status) {
        let kept = (body.len() <= settings.answer_bytes)
            .then(|| KeptAnswer::of(parts.status, &parts.headers, &settings.headers, body.clone()));
        let until_ms = settings.terms.keep_until_ms(clock::late().0);
        match settings.store.finish(&claimant, kept, until_ms).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::error!("a handler outlived its lease; another may have run with its key")
            }
            Err(error) => tracing::error!(%error, "an answer could not be kept"),
        }
    } else {
        release(&settings, &claimant).await;
    }
    Response::from_parts(parts, Body::from(body))
}

/// Gives the key up. If that fails its lease runs out.
async fn release(settings: &Settings, claimant: &Request) {
    if let Err(error) = settings.store.release(claimant).await {
        tracing::warn!(%error, "a key could not be released");
    }
}
