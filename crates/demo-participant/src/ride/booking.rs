//! Bookings: the ride service as initiator of an open transaction, one per booking.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use sea_orm::{DatabaseConnection, EntityTrait};
use serde::Deserialize;
use serde_json::json;
use tercet_participant::{
    Client, ClientError, NewBranch, NewTransaction, Outcome, ProblemCode, Registered,
};

use super::seats::{Entity, Model, Seat};
use crate::coordinator::client;

/// How long a booking may stay undecided. A passenger has gone by then, and so may have we.
const UNDECIDED_AT_MOST: Duration = Duration::from_secs(20);

struct Bookings {
    db: DatabaseConnection,
    tercet: Client,
    /// The endpoint of our own seats.
    seats: String,
    /// The endpoint of the payment service.
    payment: String,
}

/// Who wants to go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Passenger {
    /// The booking's number, which the passenger's app has made: the same number again is the same
    /// booking, and is answered as it stands.
    booking: String,
    /// Who pays.
    account: String,
}

/// `POST /rides/{ride}/book`
pub(crate) fn bookings(
    db: DatabaseConnection,
    coordinator: &str,
    seats: String,
    payment: String,
) -> Result<Router, ClientError> {
    let bookings = Bookings { db, tercet: client(coordinator)?, seats, payment };
    Ok(Router::new().route("/rides/{ride}/book", post(book)).with_state(Arc::new(bookings)))
}

async fn book(
    State(bookings): State<Arc<Bookings>>,
    Path(ride): Path<String>,
    Json(passenger): Json<Passenger>,
) -> Response {
    let ride = match Entity::find_by_id(&ride).one(&bookings.db).await {
        Ok(Some(ride)) => ride,
        Ok(None) => return answer(StatusCode::NOT_FOUND, "unknown-ride", "no such ride"),
        Err(error) => {
            tracing::error!(%error, "cannot read");
            return answer(StatusCode::SERVICE_UNAVAILABLE, "failed", "ask again");
        }
    };
    // In a task of its own: a passenger who hangs up has booked all the same.
    let booking = tokio::spawn(async move { bookings.run(&ride, &passenger).await });
    match booking.await {
        Ok(Ok(outcome)) => told(outcome),
        Ok(Err(error @ ClientError::Id { .. })) => {
            answer(StatusCode::BAD_REQUEST, "invalid-booking", &error.to_string())
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the outcome of a booking is not known");
            let detail = "nobody knows yet; ask again with the same booking";
            answer(StatusCode::SERVICE_UNAVAILABLE, "unknown", detail)
        }
        Err(error) => {
            tracing::error!(%error, "a booking broke off");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "broken-off", "a booking broke off")
        }
    }
}

impl Bookings {
    /// Holds a seat and freezes the money, then has both confirmed. Whatever ends this half-way
    /// leaves nothing behind: the transaction's deadline cancels it.
    async fn run(&self, ride: &Model, passenger: &Passenger) -> Result<Outcome, ClientError> {
        let gid = format!("{}-{}", ride.ride, passenger.booking);
        let open = NewTransaction::new().gid(gid).timeout(UNDECIDED_AT_MOST);
        let trip = self.tercet.open(open).await?;
        let seat = NewBranch::new("seat")
            .endpoint(&self.seats)
            .payload(&Seat { ride: ride.ride.clone() })?;
        let payment = NewBranch::new("payment")
            .endpoint(&self.payment)
            .payload(&json!({"account": passenger.account, "amount": ride.price}))?;
        for branch in [seat, payment] {
            match trip.register(branch).await {
                Ok(Registered::Tried(_)) => {}
                // The refusal cancels the transaction without our asking; wait until it has.
                Ok(Registered::Refused(_)) => return self.tercet.outcome(trip.gid()).await,
                Ok(Registered::Pending(_)) => return trip.cancel("it took too long").await,
                // This booking was made before.
                Err(error) if is_decided(&error) => return self.tercet.outcome(trip.gid()).await,
                Err(error) => return Err(error),
            }
        }
        trip.confirm().await
    }
}

fn is_decided(error: &ClientError) -> bool {
    matches!(error.code(), Some(ProblemCode::AlreadyConfirmed | ProblemCode::AlreadyCancelled))
}

fn told(outcome: Outcome) -> Response {
    let gid = outcome.gid().clone();
    match outcome {
        Outcome::Confirmed(_) => Json(json!({"status": "booked", "gid": gid})).into_response(),
        Outcome::Cancelled(cancellation) => {
            answer(StatusCode::CONFLICT, "not-booked", &cancellation.why())
        }
        Outcome::Pending(transaction) => {
            let status = transaction.summary.status;
            (StatusCode::ACCEPTED, Json(json!({"status": status, "gid": gid}))).into_response()
        }
    }
}

fn answer(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = json!({"code": code, "status": status.as_u16(), "detail": detail});
    (status, Json(body)).into_response()
}
