//! Takes calls in, makes each when it is its turn, and puts the answer into its place.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tercet_protocol::{Answer, Call, Ticket};
use tokio::runtime::Handle;
use tokio::sync::mpsc::OwnedPermit;

use super::destination::{Admission, Destination, Pending};
use super::destinations::Destinations;
use super::exchange::{Exchange, StartError};
use super::settings::DispatcherSettings;
use crate::clock::{Clock, Stopwatch};
use crate::metrics::CallResult;

/// Calls participants. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    settings: DispatcherSettings,
    exchange: Exchange,
    destinations: Destinations,
    runtime: Handle,
}

/// The destination's queue is full: the call was not and will not be made.
#[derive(Debug)]
pub struct NoRoom {
    /// Which call.
    pub ticket: Ticket,
    /// The place it would have used.
    pub place: OwnedPermit<(Ticket, Answer)>,
}

/// Makes a dispatcher whose calls run on the tokio runtime this is called from.
///
/// # Errors
/// The HTTP client could not be built.
///
/// # Panics
/// Called outside a tokio runtime.
pub fn start(
    settings: DispatcherSettings,
    clock: Arc<dyn Clock>,
) -> Result<Dispatcher, StartError> {
    let shared = Shared {
        exchange: Exchange::new(&settings, clock)?,
        settings,
        destinations: Destinations::default(),
        runtime: Handle::current(),
    };
    Ok(Dispatcher { shared: Arc::new(shared) })
}

impl Dispatcher {
    /// Makes a call as soon as it is its turn at its destination, and puts the answer into
    /// `place`: exactly once, whatever happens, unless the runtime itself is shut down first.
    /// Never waits.
    ///
    /// # Errors
    /// The destination's queue is full; nothing was or will be sent.
    pub fn send(
        &self,
        call: Call,
        place: OwnedPermit<(Ticket, Answer)>,
    ) -> Result<(), Box<NoRoom>> {
        let shared = &self.shared;
        let Some(url) = call.branch.url(call.ticket.op).map(Arc::clone) else {
            // The engine does not call a leg that has no URL; if it did, it should hear of it.
            let why = format!("the branch has no URL for {}", call.ticket.op);
            place.send((call.ticket, Answer::Nothing { why }));
            return Ok(());
        };
        let destination = shared.destinations.of(&url, shared.settings.path_segments);
        match destination.admit(Pending { call, url, place }, &shared.settings) {
            Admission::Now(pending) => {
                let take_turns = take_turns(Arc::clone(shared), destination, pending);
                drop(shared.runtime.spawn(take_turns));
            }
            Admission::Queued => {}
            Admission::Full(Pending { call, place, .. }) => {
                return Err(Box::new(NoRoom { ticket: call.ticket, place }));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

/// Makes a call, then those that waited for it to end, until none waits.
async fn take_turns(shared: Arc<Shared>, destination: Arc<Destination>, first: Pending) {
    let mut turn = Some(first);
    while let Some(Pending { call, url, place }) = turn {
        let answer = answer(&shared.exchange, &destination, &call, &url).await;
        // The turn passes on before the answer is known to anybody: who reacts to it at
        // once finds the room that it has left.
        turn = destination.next();
        place.send((call.ticket, answer));
    }
}

async fn answer(
    exchange: &Exchange,
    destination: &Destination,
    call: &Call,
    url: &url::Url,
) -> Answer {
    let stopwatch = Stopwatch::start();
    let answer = match caught(exchange.call(call, url)).await {
        Some(answer) => answer,
        None => Answer::Nothing { why: "the coordinator failed to make the call".to_owned() },
    };
    let took = stopwatch.elapsed();
    let op = call.ticket.op;
    let result = CallResult::of(op, &answer);
    destination.metrics.ended(op, result, took);
    tracing::debug!(
        gid = %call.ticket.gid,
        branch = %call.ticket.branch,
        op = op.as_str(),
        attempt = call.ticket.attempt,
        participant = destination.metrics.label(),
        result = result.as_str(),
        ms = took.as_secs_f64() * 1e3,
        "{}",
        answer.summary()
    );
    answer
}

/// Turns a panic into `None`: a bug met by one call must neither keep its place in the
/// inbox nor the turn of those behind it. The panic hook has told people by then.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
