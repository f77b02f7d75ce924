//! A participant in memory that is right, but for one flaw.

mod flaw;
mod world;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
pub(crate) use flaw::Flaw;
use tercet_participant::{
    Action, Arrival, BadHeader, Context, Contradiction, Op, SignedCalls, decide,
};
use tokio::net::TcpListener;
use world::{World, gap};

/// The pause in which others come between, where a flaw leaves room for them.
const GAP: Duration = Duration::from_millis(5);

/// Serves a participant with this flaw; gives its address.
pub(crate) async fn serve(flaw: Flaw) -> String {
    serve_calls(flaw, |calls| calls).await
}

/// The same for calls that are signed by this secret, and no others.
pub(crate) async fn serve_signed(flaw: Flaw, secret: &str) -> String {
    let signed = SignedCalls::new([secret]).expect("a secret");
    serve_calls(flaw, |calls| calls.layer(signed)).await
}

async fn serve_calls(flaw: Flaw, around: impl FnOnce(Router) -> Router) -> String {
    let participant = Arc::new(Participant { flaw, world: World::default() });
    let calls =
        Router::new().route("/account/{op}", post(call)).with_state(Arc::clone(&participant));
    let read = Router::new().route("/balances", get(balances)).with_state(participant);
    let router = around(calls).merge(read);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

struct Participant {
    flaw: Flaw,
    world: World,
}

async fn balances(State(participant): State<Arc<Participant>>) -> Json<serde_json::Value> {
    Json(participant.world.balances())
}

async fn call(
    State(participant): State<Arc<Participant>>,
    Path(op): Path<String>,
    mut headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let Ok(op) = op.parse::<Op>() else { return (StatusCode::NOT_FOUND, op) };
    if participant.flaw == Flaw::RejectsUnknownHeaders && headers.contains_key("tercet-later") {
        return (StatusCode::BAD_REQUEST, "tercet-later: what is that?".to_owned());
    }
    if participant.flaw == Flaw::DefaultsMissingHeaders && !headers.contains_key("tercet-gid") {
        headers.insert("tercet-gid", "none".parse().expect("a value"));
    }
    match Context::from_headers(op, &headers) {
        Ok(context) => participant.answer(&context, &body).await,
        Err(BadHeader { name, what }) => (StatusCode::BAD_REQUEST, format!("{name}: {what}")),
    }
}

impl Participant {
    async fn answer(&self, context: &Context, body: &[u8]) -> (StatusCode, String) {
        let Self { flaw, world } = self;
        let key = flaw.key(context);
        // Whoever checks and acts in one go holds this all the while.
        let turn = match flaw {
            Flaw::ChecksThenActs => None,
            _ => Some(world.turn().await),
        };
        let found = world.recorded(&key);
        let arrival = Arrival {
            op: context.op,
            legs: context.legs,
            instance: flaw.instance(context, found),
            long_past: false,
        };
        let action = flaw.twist(context.op, found.map(|row| row.state), decide(found, arrival));
        if *flaw == Flaw::TrustsAttempts && context.attempt > 1 {
            return (StatusCode::OK, "surely the first one did it".to_owned());
        }
        if *flaw == Flaw::ChecksThenActs {
            tokio::time::sleep(GAP).await;
        }
        match action {
            Action::Refuse(why) => refused(why),
            Action::Repeat if *flaw == Flaw::FailsOnRepeats => {
                (StatusCode::INTERNAL_SERVER_ERROR, "duplicate key".to_owned())
            }
            Action::Repeat => (StatusCode::OK, "again".to_owned()),
            Action::Record => {
                if *flaw != Flaw::ForgetsEmptyCancels {
                    world.record(key, context);
                }
                (StatusCode::OK, "nothing to cancel".to_owned())
            }
            Action::Run => {
                if context.op == Op::Try && body == br#"{"amount":1000000}"# {
                    if *flaw == Flaw::ReservesWhatItRefuses {
                        world.add(1, -1);
                    }
                    return (StatusCode::CONFLICT, "too much".to_owned());
                }
                if *flaw == Flaw::LosesUpdates {
                    drop(turn);
                    world.add_slowly(flaw.effect(context.op)).await;
                    world.record(key, context);
                    return (StatusCode::OK, "done".to_owned());
                }
                let (reserved, balance) = flaw.effect(context.op);
                world.add(reserved, balance);
                if *flaw == Flaw::RecordsAfterwards {
                    gap().await;
                }
                world.record(key.clone(), context);
                if *flaw == Flaw::ForgetsConfirmed && context.op == Op::Confirm {
                    world.forget(&key);
                }
                (StatusCode::OK, "done".to_owned())
            }
        }
    }
}

fn refused(why: Contradiction) -> (StatusCode, String) {
    (why.status(), why.code().to_owned())
}
