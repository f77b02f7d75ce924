//! Takes calls in, makes each when it is its turn, and puts the answer into its place.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{
    Admission, Call, Capacity, Destination, Expired, Moved, Next, Offered, ParticipantHealth,
    Ticket, Turned, Watch,
};
use tercet_wire::Answer;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::breaker_turns::BreakerTurns;
use super::capacity::FreedCapacity;
use super::destination::{DestinationHandle, Pending};
use super::destinations::Destinations;
use super::http_call::HttpCall;
use super::paused::PausedParticipants;
use super::settings::DispatcherSettings;
use super::{Outcome, Place, breaker_log, call_loop};
use crate::cluster::OwnLease;
use crate::metrics::StepMetrics;
use crate::outbound::Connector;
use crate::traces::Traces;
use crate::workers::Workers;

/// Unused connections are looked through when the first may have been kept long enough, but
/// neither more often than this nor, for those that the other side has closed, less.
const TIDY_AT_MOST_EVERY: Duration = Duration::from_secs(1);
const TIDY_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// Calls participants. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    settings: DispatcherSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) http_call: HttpCall,
    /// Without it no Try leaves.
    pub(super) own_lease: OwnLease,
    destinations: Destinations,
    pub(super) steps: StepMetrics,
    pub(super) traces: Traces,
    capacity: FreedCapacity,
    paused: PausedParticipants,
    runtime: Handle,
    workers: Workers,
}

/// The destination's queue is full: the call was not and will not be made.
#[derive(Debug)]
pub struct NoRoom {
    /// Which call.
    pub ticket: Ticket,
    /// Where there was no room.
    pub destination: Destination,
    /// The place it would have used.
    pub place: Place,
}

/// Makes a dispatcher whose calls run on the tokio runtime this is called from.
///
/// # Panics
/// Called outside a tokio runtime.
#[must_use]
pub fn start(
    settings: DispatcherSettings,
    connector: Connector,
    workers: Workers,
    own_lease: OwnLease,
    traces: Traces,
    clock: Arc<dyn Clock>,
) -> Dispatcher {
    let shared = Shared {
        own_lease,
        http_call: HttpCall::new(&settings, connector, Arc::clone(&clock)),
        clock,
        destinations: Destinations::new(settings.queue, settings.path_segments),
        steps: StepMetrics::default(),
        traces,
        capacity: FreedCapacity::default(),
        paused: PausedParticipants::default(),
        settings,
        runtime: Handle::current(),
        workers,
    };
    let shared = Arc::new(shared);
    drop(shared.runtime.spawn(tidy(Arc::downgrade(&shared))));
    Dispatcher { shared }
}

/// Closes connections that are not used any more, for as long as calls are made.
async fn tidy(shared: Weak<Shared>) {
    while let Some(pause) = shared.upgrade().map(|shared| shared.settings.pool_idle_timeout) {
        sleep(pause.clamp(TIDY_AT_MOST_EVERY, TIDY_AT_LEAST_EVERY)).await;
        if let Some(shared) = shared.upgrade() {
            shared.http_call.tidy();
        }
    }
}

impl Dispatcher {
    /// Makes a call as soon as it is its turn at its destination, and puts the answer into
    /// `place`: exactly once, whatever happens, unless the runtime itself is shut down first.
    /// A Try whose turn does not come within its timeout, since its destination's breaker is
    /// open, is answered that nothing came. Never waits.
    ///
    /// # Errors
    /// The destination's queue is full; nothing was or will be sent.
    pub fn send(&self, call: Call, place: Place) -> Result<(), Box<NoRoom>> {
        let shared = &self.shared;
        let Some(url) = call.branch.url(call.ticket.op).map(Arc::clone) else {
            // The engine does not call a leg that has no URL; if it did, it should hear of it.
            let why = format!("the branch has no URL for {}", call.ticket.op);
            place.send((call.ticket, Outcome::Answered(Answer::Nothing { why })));
            return Ok(());
        };
        let destination = shared.destinations.of(&url);
        if shared.paused.has(&destination.participant) {
            let (ticket, destination) = (call.ticket, destination.name.clone());
            return Err(Box::new(NoRoom { ticket, destination, place }));
        }
        let offered = Offered::of(call, |call| Pending { call, url, place });
        let (admission, watch) = destination.offer(offered, shared.clock.now());
        shared.watch(&destination, watch);
        match admission {
            Admission::Now(next) => shared.spawn(&destination, next),
            Admission::Queued => {}
            Admission::Full(offered) => {
                let Pending { call, place, .. } = offered.call;
                let destination = destination.name.clone();
                return Err(Box::new(NoRoom { ticket: call.ticket, destination, place }));
            }
        }
        Ok(())
    }

    /// Has the room of this destination told by [`Dispatcher::capacity`] once there is any.
    pub fn notify_when_free(&self, destination: &Destination) {
        let shared = &self.shared;
        // Whoever waits there is told when it is resumed.
        if shared.paused.has(&destination.participant()) {
            return;
        }
        let Some(handle) = shared.destinations.named(destination) else {
            // It has had no calls for long enough to be forgotten.
            let places = shared.settings.queue.concurrency;
            return shared.capacity.tell(destination, Capacity { places, healed: false });
        };
        let (capacity, watch) = handle.notify_when_free(shared.clock.now());
        shared.watch(&handle, watch);
        if let Some(capacity) = capacity {
            shared.capacity.tell(destination, capacity);
        }
    }

    /// Takes a call back that still waits for its turn: it is not made, and its place is free.
    /// Whether it was found waiting.
    pub fn retract(&self, ticket: &Ticket) -> bool {
        self.shared.destinations.all().iter().any(|destination| {
            let (found, watch) = destination.retract(|call| call.ticket == *ticket);
            self.shared.watch(destination, watch);
            found
        })
    }

    /// Makes none of the calls that wait for their turn: the life that they belong to is over, and
    /// whoever drives on what it drove makes its own. Those under way end by themselves.
    pub fn end(&self) {
        for destination in self.shared.destinations.all() {
            loop {
                let (found, watch) = destination.retract(|_| true);
                self.shared.watch(&destination, watch);
                if !found {
                    break;
                }
            }
        }
    }

    /// Participants that are not called from now on, by `host:port`; all others are.
    pub fn set_paused(&self, participants: BTreeSet<String>) {
        let destinations = &self.shared.destinations;
        self.shared.paused.set(participants, |name| destinations.metrics(name));
    }

    /// Takes back all calls that wait for their turn at participants that are paused: they are not
    /// made, and their places are free.
    #[must_use]
    pub fn retract_paused(&self) -> Vec<(Ticket, Destination)> {
        let mut retracted = Vec::new();
        let all = self.shared.destinations.all();
        for destination in all.iter().filter(|it| self.shared.paused.has(&it.participant)) {
            let (tickets, watch) = destination.retract_all();
            self.shared.watch(destination, watch);
            let of_it = tickets.into_iter().map(|ticket| (ticket, destination.name.clone()));
            retracted.extend(of_it);
        }
        retracted
    }

    /// How many calls wait for their turn, over all destinations.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.destinations.all().iter().map(|destination| destination.health().waiting).sum()
    }

    /// Tells which destinations have room again: those that were asked for by
    /// [`Dispatcher::notify_when_free`], and those whose breaker was open and that answer again.
    #[must_use]
    pub fn capacity(&self) -> FreedCapacity {
        self.shared.capacity.clone()
    }

    /// Tells whose breakers have opened and closed.
    #[must_use]
    pub fn breaker_turns(&self) -> BreakerTurns {
        self.shared.destinations.turns()
    }

    /// How it stands with every participant that has calls or had some not long ago, by name.
    #[must_use]
    pub fn participants(&self) -> Vec<ParticipantHealth> {
        self.shared.destinations.participants()
    }
}

impl Shared {
    /// Does what follows from the end of a call or from time, beside the calls to be made.
    pub(super) fn attend(
        &self,
        destination: &DestinationHandle,
        moved: Moved<Pending>,
    ) -> Vec<Next<Pending>> {
        let Moved { next, expired, room, turned } = moved;
        for Expired { offered, waited } in expired {
            let Pending { call, place, .. } = offered.call;
            let waited_ms = waited.as_millis();
            let why = format!(
                "{} does not answer: waited {waited_ms} ms behind its open breaker",
                destination.name
            );
            place.send((call.ticket, Outcome::Answered(Answer::Nothing { why })));
        }
        if let Some(turned) = turned {
            if turned == Turned::Opened {
                // They may lead to where the participant was.
                self.http_call.forget(destination.origin());
            }
            breaker_log::tell(destination, turned);
        }
        if let Some(room) = room {
            self.capacity.tell(&destination.name, room);
        }
        next
    }

    /// Has somebody come back when the queue says, unless somebody does already.
    pub(super) fn watch(self: &Arc<Self>, destination: &Arc<DestinationHandle>, watch: Watch) {
        match watch {
            Watch::Start => {
                let watching = call_loop::watch(Arc::clone(self), Arc::clone(destination));
                drop(self.runtime.spawn(watching));
            }
            // The watcher has been told, if it must be.
            Watch::LookAgain | Watch::AsItIs => {}
        }
    }

    /// Makes a call, and those whose turn comes by its end.
    pub(super) fn spawn(
        self: &Arc<Self>,
        destination: &Arc<DestinationHandle>,
        next: Next<Pending>,
    ) {
        let taking = call_loop::take(Arc::clone(self), Arc::clone(destination), next);
        // In a box: the runtime moves what it runs about several times.
        self.workers.call(Box::pin(taking));
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
