//! The dispatcher: the real queue of each destination and its watcher, and for each call that has
//! its turn one answer or the end of patience.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_engine::{
    Admission, BreakerSettings, Call, Capacity, CapacityFreed, Destination,
    DestinationQueueSettings, Expired, Health, Moved, Next, Offered, Permit, Ticket, Turned, Watch,
    WatchedQueue, health,
};
use tercet_wire::{Answer, Mono, Now};

use crate::content::{quantity_of, service_of};
use crate::coverage::{Pausing, Sometimes};
use crate::network;
use crate::node::life::millis;
use crate::node::lines::{Lines, Way};
use crate::scheduled_event::{Arriving, Caller, NodeEvent, Question, ScheduledEvent};
use crate::scheduler::Scheduler;

/// Path segments that tell destinations apart.
pub(super) const PATH_SEGMENTS: usize = 1;

/// A probe may be under way beyond what a destination may take; as in the queue.
const SPARE: usize = 8;

/// All destinations of one life.
#[derive(Debug)]
pub(crate) struct Dispatch {
    life: u64,
    settings: DestinationQueueSettings,
    queues: BTreeMap<Destination, WatchedQueue<Call>>,
    /// When the watcher of each queue that has one will look.
    watchers: BTreeMap<Destination, Mono>,
    under_way: BTreeMap<u64, HttpCall>,
    lines: Lines,
    next: u64,
    /// Participants that are not called, as far as this life knows.
    paused: BTreeSet<String>,
}

/// A call that has its turn.
#[derive(Debug)]
struct HttpCall {
    at: Destination,
    ticket: Ticket,
    permit: Permit,
    way: Way,
}

/// What the coordinator is told.
#[derive(Debug, Default)]
pub(super) struct BreakerNews {
    pub(super) answers: Vec<(Ticket, Answer)>,
    pub(super) capacity: Vec<CapacityFreed>,
    /// Breakers that have opened, or closed.
    pub(super) turned: Vec<(Destination, bool)>,
    /// Participants that have answered by themselves.
    pub(super) alive: Vec<String>,
}

impl Dispatch {
    pub(super) fn new(life: u64, scheduler: &Scheduler) -> Self {
        let plan = &scheduler.plan.dispatch;
        let settings = DestinationQueueSettings {
            concurrency: plan.concurrency,
            queue_entries: plan.queue,
            queue_bytes: 1 << 20,
            breaker: BreakerSettings {
                failures: plan.breaker_threshold,
                probe_interval: Duration::from_millis(250),
                probe_timeout: Duration::from_secs(1),
            },
        };
        let (queues, watchers, under_way, lines, paused) = Default::default();
        Self { life, settings, queues, watchers, under_way, lines, next: 0, paused }
    }

    /// Makes a call, or keeps it until it is its turn, or has no room for it.
    pub(super) fn send(
        &mut self,
        call: Call,
        now: Now,
        scheduler: &mut Scheduler,
    ) -> Result<(), (Ticket, Destination)> {
        let Some(url) = call.branch.url(call.ticket.op) else {
            scheduler.broke(format!("{}: a leg was called that is not there", call.ticket.gid));
            return Ok(());
        };
        let at = Destination::of(url, PATH_SEGMENTS);
        if self.paused.contains(&at.participant()) {
            scheduler.saw(Pausing::Refused);
            return Err((call.ticket, at));
        }
        let (admission, watch) = self.queue(&at).offer(Offered::of(call, |call| call), now);
        self.watch(&at, watch);
        match admission {
            Admission::Now(next) => self.make(&at, next, now, scheduler),
            Admission::Queued => scheduler.saw(Sometimes::Queued),
            Admission::Full(offered) => {
                scheduler.saw(Sometimes::NoRoom);
                return Err((offered.call.ticket, at));
            }
        }
        Ok(())
    }

    /// Takes back a call that waits for its turn; whether it did.
    pub(super) fn retract(&mut self, ticket: &Ticket, scheduler: &mut Scheduler) -> bool {
        let is_it = |call: &Call| call.ticket == *ticket;
        let retracted = self.queues.iter_mut().find_map(|(at, queue)| {
            let (offered, watch) = queue.retract(is_it);
            offered.map(|_| (at.clone(), watch))
        });
        if let Some((at, watch)) = &retracted {
            scheduler.saw(Sometimes::Retracted);
            self.watch(at, *watch);
        }
        retracted.is_some()
    }

    /// Who is not called.
    pub(crate) fn paused(&self) -> &BTreeSet<String> {
        &self.paused
    }

    /// From now on these are not called.
    pub(super) fn set_paused(&mut self, participants: BTreeSet<String>) {
        self.paused = participants;
    }

    pub(super) fn has_calls_under_way_to_paused(&self) -> bool {
        self.under_way.values().any(|http_call| self.paused.contains(&http_call.at.participant()))
    }

    /// Takes back all calls that wait for their turn where nobody is called.
    pub(super) fn retract_paused(&mut self) -> Vec<(Ticket, Destination)> {
        let mut retracted = Vec::new();
        let paused = |at: &&Destination| self.paused.contains(&at.participant());
        let paused: Vec<Destination> = self.queues.keys().filter(paused).cloned().collect();
        for at in paused {
            loop {
                let (offered, watch) = self.queue(&at).retract(|_| true);
                self.watch(&at, watch);
                let Some(offered) = offered else { break };
                retracted.push((offered.call.ticket, at.clone()));
            }
        }
        retracted
    }

    /// Has the room of a destination told once there is any.
    pub(super) fn notify_when_free(
        &mut self,
        at: &Destination,
        now: Now,
        scheduler: &mut Scheduler,
    ) -> BreakerNews {
        // Whoever waits there is told when it is resumed.
        if self.paused.contains(&at.participant()) {
            return BreakerNews::default();
        }
        scheduler.saw(Sometimes::AwaitedRoom);
        let (room, watch) = self.queue(at).notify_when_free(now);
        self.watch(at, watch);
        BreakerNews {
            capacity: freed(at.clone(), room, scheduler).into_iter().collect(),
            ..BreakerNews::default()
        }
    }

    /// A call has ended; its place goes to another.
    pub(super) fn ended(
        &mut self,
        http_call: u64,
        answer: &Answer,
        now: Now,
        scheduler: &mut Scheduler,
    ) -> Option<BreakerNews> {
        let HttpCall { at, ticket, permit, way } = self.under_way.remove(&http_call)?;
        self.lines.ended(&at, &ticket, way, answer, now.mono);
        let (moved, watch) = self.queue(&at).ended(permit, health(answer), &ticket.gid, now);
        self.watch(&at, watch);
        let mut news = self.attend(&at, moved, now, scheduler);
        if health(answer) == Health::Alive {
            news.alive.push(at.participant());
        }
        news.answers.push((ticket, answer.clone()));
        Some(news)
    }

    /// The watchers come back to the queues that asked for it.
    pub(super) fn wake(&mut self, now: Now, scheduler: &mut Scheduler) -> BreakerNews {
        let mut news = BreakerNews::default();
        let due = self.watchers.iter().filter(|(_, until)| **until <= now.mono);
        let due: Vec<Destination> = due.map(|(at, _)| at.clone()).collect();
        for at in due {
            let moved = self.queue(&at).wake(now);
            if self.queue(&at).queue().next_wake().is_some_and(|at| at <= now.mono) {
                scheduler.broke(format!("the queue of {at} asks to be woken again at once"));
            }
            self.watch(&at, Watch::LookAgain);
            let more = self.attend(&at, moved, now, scheduler);
            news.answers.extend(more.answers);
            news.capacity.extend(more.capacity);
            news.turned.extend(more.turned);
        }
        news
    }

    pub(super) fn next_wake(&self) -> Option<Mono> {
        self.watchers.values().min().copied()
    }

    /// Calls that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.queues.values().map(|queue| queue.queue().waiting()).sum()
    }

    /// P9: so many calls under way to one participant, so many waiting, and no more; and over all
    /// of them so many in flight.
    pub(crate) fn within_bounds(&self, scheduler: &mut Scheduler) {
        let DestinationQueueSettings { concurrency, queue_entries, .. } = self.settings;
        for (at, queue) in &self.queues {
            let under_way = self.under_way.values().filter(|http_call| http_call.at == *at);
            let (probes, calls): (Vec<_>, Vec<_>) =
                under_way.partition(|http_call| http_call.permit.is_probe());
            let most = concurrency.max(1);
            // Probes may have the places of calls, too.
            if calls.len() > most || calls.len() + probes.len() > most + SPARE {
                scheduler.broke(format!("{at} has {} calls at once", calls.len() + probes.len()));
            }
            let waiting = queue.queue().waiting();
            if waiting > queue_entries {
                scheduler.broke(format!("{waiting} calls wait for {at}"));
            }
        }
        let in_flight = self.under_way.len() + self.waiting();
        if in_flight > scheduler.plan.dispatch.inbox {
            scheduler.broke(format!("{in_flight} calls are in flight"));
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.waiting() == 0
    }

    fn queue(&mut self, at: &Destination) -> &mut WatchedQueue<Call> {
        self.queues.entry(at.clone()).or_insert_with(|| WatchedQueue::new(self.settings))
    }

    /// A watcher comes back when it meant to, unless it was told to look again.
    fn watch(&mut self, at: &Destination, watch: Watch) {
        if watch == Watch::AsItIs {
            return;
        }
        match self.queue(at).watch_until() {
            Some(until) => self.watchers.insert(at.clone(), until),
            None => self.watchers.remove(at),
        };
    }

    fn attend(
        &mut self,
        at: &Destination,
        moved: Moved<Call>,
        now: Now,
        scheduler: &mut Scheduler,
    ) -> BreakerNews {
        let Moved { next, expired, room, turned } = moved;
        for next in next {
            self.make(at, next, now, scheduler);
        }
        let turned = turned.map(|turned| match turned {
            Turned::Opened => {
                self.lines.forget(at);
                scheduler.saw(Sometimes::BreakerOpened);
                (at.clone(), true)
            }
            Turned::Closed { .. } => {
                scheduler.saw(Sometimes::BreakerClosed);
                (at.clone(), false)
            }
        });
        let answers = expired.into_iter().map(|Expired { offered, waited }| {
            scheduler.saw(Sometimes::ExpiredBehindABreaker);
            let why = format!("waited {} ms behind its open breaker", waited.as_millis());
            (offered.call.ticket, Answer::Nothing { why })
        });
        let answers = answers.collect();
        let capacity = freed(at.clone(), room, scheduler).into_iter().collect();
        let turned = turned.into_iter().collect();
        BreakerNews { answers, capacity, turned, ..BreakerNews::default() }
    }

    fn make(&mut self, at: &Destination, next: Next<Call>, now: Now, scheduler: &mut Scheduler) {
        let Next { offered, permit } = next;
        if self.paused.contains(&at.participant()) {
            let gid = &offered.call.ticket.gid;
            scheduler.broke(format!("{gid}: {at} is called although it is paused"));
        }
        if permit.is_probe() {
            scheduler.saw(Sometimes::Probe);
        }
        self.next += 1;
        let (life, http_call) = (self.life, self.next);
        let keeps_result = offered.call.keeps_result();
        let Call { ticket, branch, deadline_at, .. } = offered.call;
        let event = NodeEvent::CallGivenUp { http_call };
        scheduler.after(millis(branch.timeout), ScheduledEvent::Node { life, event });
        let Ok(legs) = branch.legs().parse() else { return };
        let is_probe = permit.is_probe();
        // The initiators' service comes after all participants.
        let service = if ticket.asks { scheduler.plan.services } else { service_of(&branch) };
        let way = self.lines.way(at, service, &ticket, is_probe, now.mono, scheduler);
        let made = HttpCall { at: at.clone(), ticket: ticket.clone(), permit, way };
        self.under_way.insert(http_call, made);
        if way.is_swallowed {
            return;
        }
        if ticket.asks {
            let (gid, from) = (ticket.gid.clone(), Caller::Node { http_call, ticket });
            return network::call(ScheduledEvent::Question(Question { gid, from }), scheduler);
        }
        let arriving = Arriving {
            service,
            gid: ticket.gid.clone(),
            branch: ticket.branch.clone(),
            instance: ticket.instance,
            op: ticket.op,
            legs,
            deadline: deadline_at,
            quantity: quantity_of(&branch),
            keeps_result,
            from: Caller::Node { http_call, ticket },
        };
        network::call(ScheduledEvent::Call(arriving), scheduler);
    }
}

fn freed(
    at: Destination,
    room: Option<Capacity>,
    scheduler: &mut Scheduler,
) -> Option<CapacityFreed> {
    let Capacity { places, healed } = room?;
    scheduler.saw(if healed { Sometimes::Healed } else { Sometimes::RoomTold });
    Some(CapacityFreed { destination: at, places, healed })
}
