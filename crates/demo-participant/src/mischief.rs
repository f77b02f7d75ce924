//! Trouble on demand, to watch what becomes of a transaction.
//!
//! It stands between the network and the service's three calls, so that the service itself is
//! as honest as any. `POST /mischief` replaces what is set: what it does not name is off.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tercet_participant::Op;

/// How long an answer that is forgotten is kept back: longer than anybody waits for it.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// The exit code of a service that was told to die.
const DIED: i32 = 86;

/// What goes wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mischief {
    /// Each call waits this long before it begins, in milliseconds.
    slow_ms: SlowMs,
    /// Every Try is refused.
    refuse: bool,
    /// So many calls from now on are answered 503, and nothing is done.
    fail_first: u32,
    /// The process ends when this call arrives, before anything is done.
    die_at: Option<Op>,
    /// This call is done and never answered.
    forget_answer: Option<Op>,
}

/// Delays by call, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SlowMs {
    #[serde(rename = "try")]
    try_: u64,
    confirm: u64,
    cancel: u64,
}

impl Mischief {
    /// Reads it from the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn pause(&self, op: Op) -> Duration {
        Duration::from_millis(match op {
            Op::Try => self.slow_ms.try_,
            Op::Confirm => self.slow_ms.confirm,
            Op::Cancel => self.slow_ms.cancel,
        })
    }
}

type Shared = Arc<Mutex<Mischief>>;

/// Puts mischief around a branch's three calls; gives these and the switch, `/mischief`.
pub(crate) fn around(branch: Router, mischief: Mischief) -> (Router, Router) {
    let shared: Shared = Arc::new(Mutex::new(mischief));
    let branch = branch.layer(middleware::from_fn_with_state(Arc::clone(&shared), trouble));
    let switch = Router::new().route("/mischief", get(show).post(set)).with_state(shared);
    (branch, switch)
}

async fn show(State(shared): State<Shared>) -> Json<Mischief> {
    Json(shared.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

async fn set(State(shared): State<Shared>, Json(mischief): Json<Mischief>) -> Json<Mischief> {
    tracing::info!(?mischief, "set");
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = mischief.clone();
    Json(mischief)
}

async fn trouble(State(shared): State<Shared>, call: Request, next: Next) -> Response {
    let last = call.uri().path().rsplit('/').next();
    let Some(op) = last.and_then(|last| last.parse::<Op>().ok()) else {
        return next.run(call).await;
    };
    let pause = shared.lock().unwrap_or_else(PoisonError::into_inner).pause(op);
    tokio::time::sleep(pause).await;
    // Read after the pause: what was switched off meanwhile is off.
    let (mischief, fails) = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let fails = shared.fail_first > 0;
        shared.fail_first = shared.fail_first.saturating_sub(1);
        (shared.clone(), fails)
    };
    if mischief.die_at == Some(op) {
        die(op.as_str());
    }
    if fails {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "failing, as it was told to");
    }
    if mischief.refuse && op == Op::Try {
        return problem(StatusCode::CONFLICT, "refusing, as it was told to");
    }
    let answer = next.run(call).await;
    if mischief.forget_answer == Some(op) {
        tracing::warn!(%op, "mischief: done, and not answered");
        tokio::time::sleep(FORGOTTEN).await;
    }
    answer
}

/// Ends the process, as it was told to.
pub(crate) fn die(at: &str) -> ! {
    tracing::warn!(at, "mischief: dying");
    std::process::exit(DIED)
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({"code": "mischief", "status": status.as_u16(), "detail": detail});
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::body::Body;
    use tokio::task::JoinHandle;
    use tower::ServiceExt;

    use super::*;

    /// A branch that counts what it does, with this mischief around it.
    fn branch(mischief: &str) -> (Router, Arc<AtomicU32>) {
        let done = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&done);
        let count = move || {
            counter.fetch_add(1, Ordering::SeqCst);
            std::future::ready(StatusCode::OK)
        };
        let branch = Router::new().route("/{op}", axum::routing::post(count));
        (around(branch, Mischief::parse(mischief).expect("mischief")).0, done)
    }

    async fn call(branch: &Router, op: &str) -> StatusCode {
        let call = Request::post(format!("/{op}")).body(Body::empty()).expect("a call");
        let Ok(answer) = branch.clone().oneshot(call).await;
        answer.status()
    }

    /// Makes a call in the background.
    fn calling(branch: &Router, op: &'static str) -> JoinHandle<StatusCode> {
        let branch = branch.clone();
        tokio::spawn(async move { call(&branch, op).await })
    }

    #[tokio::test]
    async fn a_slow_call_begins_late_and_another_one_at_once() {
        let (slow, done) = branch(r#"{"slow_ms":{"try":600000}}"#);
        let waiting = calling(&slow, "try");
        assert_eq!(call(&slow, "confirm").await, StatusCode::OK);
        tokio::task::yield_now().await;
        assert_eq!(done.load(Ordering::SeqCst), 1, "it waits before it does anything");
        assert!(!waiting.is_finished());
        let (late, done) = branch(r#"{"slow_ms":{"try":1}}"#);
        assert_eq!(call(&late, "try").await, StatusCode::OK);
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_forgotten_answer_is_one_to_a_call_that_was_done() {
        let (branch, done) = branch(r#"{"forget_answer":"confirm"}"#);
        let forgotten = calling(&branch, "confirm");
        while done.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(call(&branch, "try").await, StatusCode::OK);
        assert!(!forgotten.is_finished());
        assert_eq!(done.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_refusal_is_of_the_try_alone() {
        let (branch, done) = branch(r#"{"refuse":true}"#);
        assert_eq!(call(&branch, "try").await, StatusCode::CONFLICT);
        assert_eq!(call(&branch, "cancel").await, StatusCode::OK);
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_first_calls_fail_and_then_no_more() {
        let (branch, done) = branch(r#"{"fail_first":2}"#);
        let mut answers = Vec::new();
        for op in ["try", "cancel", "try"] {
            answers.push(call(&branch, op).await.as_u16());
        }
        assert_eq!(answers, [503, 503, 200]);
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
