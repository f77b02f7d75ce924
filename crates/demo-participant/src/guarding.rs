//! With the guard, or without it to see what it is for.
//!
//! Without it the same business code is run at every call that comes: a Try that was doubled
//! reserves twice, a Cancel without its Try gives back what was never taken. Nobody wants this; it is
//! here because sums that are off explain the guard better than words.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Json, Router};
use sea_orm::{
    DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use serde_json::json;
use std::sync::Arc;
use tercet_participant::{Context, Failure, Op, Participant, Store};

/// What stands between a call and the business code.
#[derive(Clone)]
pub(crate) enum Guarding {
    /// The SDK's guard.
    On(Store),
    /// Nothing.
    Off(DatabaseConnection),
}

impl Guarding {
    /// The participant's three calls.
    pub(crate) fn router<P: Participant>(self, participant: P) -> Router {
        match self {
            Self::On(store) => tercet_participant::router(participant, store),
            Self::Off(db) => Router::new()
                .route("/try", leg::<P>(Op::Try))
                .route("/confirm", leg::<P>(Op::Confirm))
                .route("/cancel", leg::<P>(Op::Cancel))
                .with_state(Arc::new(Unguarded { participant, db })),
        }
    }
}

struct Unguarded<P> {
    participant: P,
    db: DatabaseConnection,
}

fn leg<P: Participant>(op: Op) -> MethodRouter<Arc<Unguarded<P>>> {
    post(
        move |State(service): State<Arc<Unguarded<P>>>, headers: HeaderMap, body: Bytes| async move {
            answer(service.run(op, &headers, &body).await)
        },
    )
}

impl<P: Participant> Unguarded<P> {
    async fn run(&self, op: Op, headers: &HeaderMap, body: &[u8]) -> Result<(), Failure> {
        let unreadable = |why: String| Failure::refused("unreadable", why);
        let (context, payload) =
            Context::from_call(op, headers, body).map_err(|error| unreadable(error.to_string()))?;
        let payload =
            serde_json::from_slice(payload).map_err(|error| unreadable(error.to_string()))?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let db = self.db.begin_with_options(options).await?;
        match op {
            Op::Try => self.participant.try_(&db, &context, payload).await?,
            Op::Confirm => self.participant.confirm(&db, &context, payload).await?,
            Op::Cancel => self.participant.cancel(&db, &context, payload).await?,
        }
        Ok(db.commit().await?)
    }
}

fn answer(result: Result<(), Failure>) -> Response {
    let failure = match result {
        Ok(()) => return StatusCode::OK.into_response(),
        Err(failure) => failure,
    };
    tracing::debug!(%failure, "not done");
    match failure {
        Failure::Refused { code, detail } => {
            let body = json!({"code": code, "status": 409, "detail": detail});
            (StatusCode::CONFLICT, Json(body)).into_response()
        }
        Failure::Retry { .. } | Failure::Database(_) => {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
