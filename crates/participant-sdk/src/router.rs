//! The URLs of an endpoint: three that are called, and its books.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, http::StatusCode};
use tercet_wire::Op;
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::answer;
use crate::context::Context;
use crate::guard::books::Asked;
use crate::guard::store::{Store, Waits};
use crate::guard::turn::{TURN_PATIENCE, Turns};
use crate::participant::Participant;
use crate::problem::problem;

/// More than the coordinator accepts as a payload and as results, written as JSON, and less than would
/// hurt.
const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// How long a call may wait to begin before its caller is told that it is in progress: much less than
/// callers wait for an answer, since silence would count as a failure.
const QUEUE_PATIENCE: Duration = Duration::from_secs(1);

/// What the three handlers share.
struct Endpoint<P> {
    participant: P,
    store: Store,
    turns: Arc<Turns>,
}

/// `POST /try`, `/confirm` and `/cancel` of a participant, guarded by `store`, and `GET /branches`, the guard's
/// rows for whoever compares books (`tercet reconcile`). Nest it under the path that branches give as their
/// `endpoint`:
///
/// ```text
/// Router::new().nest("/payment", tercet_participant::router(payment, store))
/// ```
///
/// A call goes on when its caller hangs up, so that the next one finds it done. Likewise one that has to
/// wait for its turn to write, on SQLite: its caller is answered 202 after a second, and it keeps its place.
pub fn router<P: Participant>(participant: P, store: Store) -> Router {
    let endpoint = Arc::new(Endpoint { participant, store, turns: Arc::default() });
    Router::new()
        .route("/try", leg::<P>(Op::Try))
        .route("/confirm", leg::<P>(Op::Confirm))
        .route("/cancel", leg::<P>(Op::Cancel))
        .route("/branches", get(books::<P>))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(endpoint)
}

fn leg<P: Participant>(op: Op) -> axum::routing::MethodRouter<Arc<Endpoint<P>>> {
    post(move |State(endpoint): State<Arc<Endpoint<P>>>, headers: HeaderMap, body: Bytes| {
        call(endpoint, op, headers, body)
    })
}

/// The books hold no payload, but all gids: they belong under the same protection as the calls.
async fn books<P: Participant>(
    State(endpoint): State<Arc<Endpoint<P>>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let invalid = |why: &str| problem(StatusCode::BAD_REQUEST, "invalid-request", why);
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(rejection) => return invalid(&rejection.body_text()),
    };
    let range = match asked.range() {
        Ok(range) => range,
        Err(why) => return invalid(&why),
    };
    match endpoint.store.books(&range).await {
        Ok(page) => Json(page).into_response(),
        Err(error) => {
            tracing::warn!(%error, "the guard's rows cannot be read");
            answer::failed()
        }
    }
}

async fn call<P: Participant>(
    endpoint: Arc<Endpoint<P>>,
    op: Op,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (context, payload) = match Context::from_call(op, &headers, &body) {
        Ok((context, payload)) => (context, body.slice_ref(payload)),
        Err(error) => {
            tracing::warn!(%op, %error, "a call cannot be read");
            return answer::bad_header(&error);
        }
    };
    let mut patience = pin!(tokio::time::sleep(QUEUE_PATIENCE));
    let Some(turn) = endpoint.turns.take(&context, TURN_PATIENCE).await else {
        return answer::in_progress();
    };
    let (waits, waiting) = Waits::new();
    // In a task of its own: the caller's hanging up drops this future, not the call, and a
    // panic in business code becomes an answer.
    let mut call = tokio::spawn(async move {
        let result = endpoint.store.run(&endpoint.participant, &context, &payload, waits).await;
        drop(turn);
        result.map_err(|why| answer::not_done(&context, &why))
    });
    let called = tokio::select! {
        biased;
        called = &mut call => called,
        () = waits_for_too_long(waiting, patience.as_mut()) => return answer::in_progress(),
    };
    match called {
        Ok(Ok(done)) => answer::done(done),
        Ok(Err(refusal)) => refusal,
        Err(error) => {
            tracing::error!(%op, %error, "a call broke off");
            answer::broken_off()
        }
    }
}

/// Ends if the call has not begun when patience ends, or has waited for as long again for its commit; else never.
async fn waits_for_too_long(mut waits: watch::Receiver<bool>, patience: Pin<&mut Sleep>) {
    tokio::select! {
        biased;
        _ = waits.wait_for(|waits| !waits) => {}
        () = patience => return,
    }
    while waits.wait_for(|waits| *waits).await.is_ok() {
        match tokio::time::timeout(QUEUE_PATIENCE, waits.wait_for(|waits| !waits)).await {
            Ok(Ok(_)) => {}
            // It has ended.
            Ok(Err(_)) => break,
            Err(_) => return,
        }
    }
    std::future::pending().await
}
