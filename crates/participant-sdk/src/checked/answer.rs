//! What a coordinator that asks is told.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sea_orm::{ConnectionTrait, DbErr};
use tercet_wire::{Gid, header};

use super::record::{self, Checked, Mark};
use crate::answer::failed;
use crate::guard::contention::contention;
use crate::guard::miscounted::commit;
use crate::guard::patience;
use crate::problem::{problem, with_retry_after};
use crate::sql::{begin, statement};

/// How long a question waits for its turn, and how long it is worked on, before it is answered 202: the coordinator
/// waits for 3 s.
const SEAT_PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(1_500);
/// When it is to come again, in seconds.
const COME_AGAIN_SECONDS: u64 = 1;
/// How often a question is put that lost against the initiator's transaction.
const ROUNDS: u32 = 3;
/// The body is `{}`.
const BODY_LIMIT_BYTES: usize = 1024;
/// How old the note of the last question may become before another one writes it anew.
pub(super) const TOUCH_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

impl Checked {
    /// `POST /`, which a coordinator asks. Nest it under the path that is given as `check`.
    ///
    /// | it finds | and answers |
    /// |---|---|
    /// | that the initiator's transaction has committed | 200 |
    /// | nothing: it writes that it never will, and then | 410 |
    /// | that it wrote this before | 410 |
    /// | the initiator's transaction still open, for longer than half a second | 202 with `Retry-After: 1` |
    /// | no way to find out | 503 |
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", post(asked))
            .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
            .with_state(self.clone())
    }

    /// What is written of this gid, if that can be said by now. Where nothing was, "never" is written by the time
    /// this says so.
    async fn mark_of(&self, gid: &Gid) -> Result<Option<Mark>, DbErr> {
        let _permit = self.queue.join_surely().await;
        for _ in 0..ROUNDS {
            match self.look(gid).await {
                Err(error) if contention(&error).is_some() => {}
                found => return found,
            }
        }
        Ok(None)
    }

    /// One SQL transaction. Every early return drops it, which rolls it back.
    async fn look(&self, gid: &Gid) -> Result<Option<Mark>, DbErr> {
        let tx = begin(&self.db).await?;
        patience::begin(&tx).await?;
        let inserted = record::insert(&tx, gid, Mark::Never).await;
        // The session gets back what it had before the error is looked at.
        let ended = patience::end(&tx).await;
        if inserted? {
            ended?;
            commit(&self.db, tx).await?;
            return Ok(Some(Mark::Never));
        }
        ended?;
        match record::find(&tx, gid).await? {
            Some((mark, ago)) if ago < TOUCH_AFTER_MS => tx.rollback().await.map(|()| Some(mark)),
            Some((mark, _)) => {
                let text = "UPDATE tercet_checked SET asked_at = {now} WHERE gid = ?";
                let backend = tx.get_database_backend();
                tx.execute_raw(statement(backend, text, [gid.as_str().into()])).await?;
                commit(&self.db, tx).await.map(|()| Some(mark))
            }
            // Purged between the two statements.
            None => Ok(None),
        }
    }
}

async fn asked(State(checked): State<Checked>, headers: HeaderMap) -> Response {
    let gid: Gid = match gid_of(&headers) {
        Ok(gid) => gid,
        Err(why) => {
            tracing::warn!(why, "a question cannot be read");
            return problem(StatusCode::BAD_REQUEST, "invalid-call", &why);
        }
    };
    // A question that waits in the database has a connection in its hand: half of them are left to others.
    let seat = tokio::time::timeout(SEAT_PATIENCE, Arc::clone(&checked.seats).acquire_owned());
    let Ok(Ok(seat)) = seat.await else { return not_known_yet() };
    // In a task of its own: what it writes it writes whether or not somebody still waits.
    let look = tokio::spawn({
        let gid = gid.clone();
        async move {
            let _seat = seat;
            checked.mark_of(&gid).await
        }
    });
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(Ok(Some(Mark::Done)))) => StatusCode::OK.into_response(),
        Ok(Ok(Ok(Some(Mark::Never)))) => {
            tracing::info!(%gid, "was asked for and had not happened: now it never will");
            problem(StatusCode::GONE, "never", "it has not happened, and never will")
        }
        Ok(Ok(Ok(None))) | Err(_) => not_known_yet(),
        Ok(Ok(Err(error))) => {
            tracing::warn!(%gid, %error, "a question cannot be answered");
            failed()
        }
        Ok(Err(error)) => {
            tracing::error!(%gid, %error, "a question broke off");
            failed()
        }
    }
}

fn not_known_yet() -> Response {
    let detail = "the transaction that would do it has not ended";
    let answer = problem(StatusCode::ACCEPTED, "not-known-yet", detail);
    with_retry_after(COME_AGAIN_SECONDS, answer)
}

fn gid_of(headers: &HeaderMap) -> Result<Gid, String> {
    let text = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
    match text(header::OP) {
        Some("check") => {}
        given => return Err(format!("header {}: must be check, is {given:?}", header::OP)),
    }
    let gid = text(header::GID).ok_or_else(|| format!("header {}: is missing", header::GID))?;
    gid.parse().map_err(|why| format!("header {}: {why}", header::GID))
}
