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
        tracing::warn!(%op, "mischief: dying");
        std::process::exit(DIED);
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

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({"code": "mischief", "status": status.as_u16(), "detail": detail});
    (status, Json(body)).into_response()
}
