//! Makes calls in their turn, and comes back to a line when it asks for it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tercet_clock::Stopwatch;
use tercet_engine::{Call, Health, Next};
use tercet_wire::{Answer, Op};
use tokio::time::sleep;
use url::Url;

use super::Outcome;
use super::destination::{DestinationHandle, Pending};
use super::dispatch::Shared;
use super::http_call::{Exchanged, Making};
use super::request;
use crate::metrics::CallResult;
use crate::telemetry::about;
use crate::traces::CallSpan;

/// Makes a call, then one that waited for it to end, until none does.
pub(super) async fn take(
    shared: Arc<Shared>,
    destination: Arc<DestinationHandle>,
    first: Next<Pending>,
) {
    let mut permit = Some(first);
    while let Some(Next { offered, permit: this }) = permit {
        let Pending { call, url, place } = offered.call;
        let (Exchanged { outcome, health }, result) =
            exchanged(&shared, &destination, &call, &url, this.is_probe()).await;
        // The turn passes on before the answer is known to anybody: who reacts to it at
        // once finds the room that it has left.
        let made = result.map(|result| (health, result));
        let (moved, watch) = destination.ended(this, made, &offered.gid, shared.clock.now());
        shared.watch(&destination, watch);
        let mut next = shared.attend(&destination, moved).into_iter();
        permit = next.next();
        // A destination that recovers gets more calls with each answer.
        next.for_each(|one_more| shared.spawn(&destination, one_more));
        place.send((call.ticket, outcome));
    }
}

/// Comes back to a line whenever it asks for it, until it does no more.
pub(super) async fn watch(shared: Arc<Shared>, destination: Arc<DestinationHandle>) {
    while let Some(at) = destination.watch_until() {
        let wait = at.since(shared.clock.mono());
        tokio::select! {
            () = sleep(wait) => {}
            () = destination.look_again.notified() => {}
        }
        let now = shared.clock.now();
        if at <= now.mono {
            let moved = destination.wake(now);
            let next = shared.attend(&destination, moved);
            next.into_iter().for_each(|next| shared.spawn(&destination, next));
        }
    }
}

async fn exchanged(
    shared: &Shared,
    destination: &DestinationHandle,
    call: &Call,
    url: &Url,
    fresh: bool,
) -> (Exchanged, Option<CallResult>) {
    if call.ticket.op == Op::Try && !shared.own_lease.holds() {
        // Others may have taken over and decided meanwhile; what is decided may be said twice, but
        // nothing be reserved anew.
        return (Exchanged { outcome: Outcome::NotMade, health: Health::Unknown }, None);
    }
    let traced = shared.traces.of(&call.spec);
    let stopwatch = Stopwatch::start();
    // A bug met by one call must neither keep its place in the inbox nor the turn of those
    // behind it. The panic hook has told people by then.
    let made = AssertUnwindSafe(async {
        let now = shared.clock.now();
        let how = Making { fresh, now, sampled: traced.is_some() };
        (shared.http_call.call(call, url, how).await, Some(now))
    });
    let (exchanged, began) = made.catch_unwind().await.unwrap_or_else(|_| {
        let why = "the coordinator failed to make the call".to_owned();
        let outcome = Outcome::Answered(Answer::Nothing { why });
        (Exchanged { outcome, health: Health::Unknown }, None)
    });
    let took = stopwatch.elapsed();
    let op = call.ticket.call_op();
    // What was not made is no call, and took no time of the participant's.
    let Outcome::Answered(answer) = &exchanged.outcome else { return (exchanged, None) };
    let result = CallResult::of(op, answer);
    destination.metrics.ended(op, result, took);
    if let Some(saga) = call.spec.saga() {
        shared.steps.ended((&saga.name, &call.ticket.branch), call.ticket.op, result, took);
    }
    if let (Some(context), Some(now)) = (traced, began) {
        let (id, began) = (request::span_id(now.entropy), now.wall);
        shared.traces.call(context, &CallSpan { id, call, url, began, took, answer, result });
    }
    about!(&*call.spec => debug!(
        branch = %call.ticket.branch,
        op = op.as_str(),
        attempt = call.ticket.attempt,
        participant = destination.metrics.label(),
        result = result.as_str(),
        ms = took.as_secs_f64() * 1e3,
        "{}",
        answer.summary()
    ));
    (exchanged, Some(result))
}
