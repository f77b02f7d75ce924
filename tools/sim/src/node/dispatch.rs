//! The dispatcher: the real line of each destination, and for each call that has its turn one
//! answer or the end of patience.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_engine::{
    Admission, BreakerSettings, Call, Capacity, CapacityFreed, Destination, DestinationQueue,
    DestinationQueueSettings, Expired, Moved, Next, Offered, Permit, Ticket, Turned, health,
};
use tercet_wire::{Answer, Now};

use crate::content::{quantity_of, service_of};
use crate::coverage::Sometimes;
use crate::network;
use crate::node::life::millis;
use crate::scheduled_event::{Arriving, Caller, ScheduledEvent};
use crate::scheduler::Scheduler;

/// Path segments that tell destinations apart.
pub(super) const PATH_SEGMENTS: usize = 1;

/// A probe may be under way beyond what a destination may take; as in the line.
const SPARE: usize = 8;

/// All destinations of one life.
#[derive(Debug)]
pub(crate) struct Dispatch {
    life: u64,
    settings: DestinationQueueSettings,
    queues: BTreeMap<Destination, DestinationQueue<Call>>,
    under_way: BTreeMap<u64, HttpCall>,
    next: u64,
}

/// A call that has its turn.
#[derive(Debug)]
struct HttpCall {
    at: Destination,
    ticket: Ticket,
    permit: Permit,
}

/// What the coordinator is told.
#[derive(Debug, Default)]
pub(super) struct BreakerNews {
    pub(super) answers: Vec<(Ticket, Answer)>,
    pub(super) capacity: Vec<CapacityFreed>,
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
        Self { life, settings, queues: BTreeMap::new(), under_way: BTreeMap::new(), next: 0 }
    }

    /// Makes a call, or keeps it until it is its turn, or has no room for it.
    pub(super) fn send(
        &mut self,
        call: Call,
        now: Now,
        scheduler: &mut Scheduler,
    ) -> Result<(), (Ticket, Option<Destination>)> {
        let Some(url) = call.branch.url(call.ticket.op) else {
            scheduler.broke(format!("{}: a leg was called that is not there", call.ticket.gid));
            return Ok(());
        };
        if self.under_way.len() >= scheduler.plan.dispatch.inbox {
            scheduler.saw(Sometimes::NoRoomInTheInbox);
            return Err((call.ticket, None));
        }
        let at = Destination::of(url, PATH_SEGMENTS);
        let queue =
            self.queues.entry(at.clone()).or_insert_with(|| DestinationQueue::new(self.settings));
        match queue.offer(Offered::of(call, |call| call), now.mono, now.entropy) {
            Admission::Now(next) => self.make(&at, next, scheduler),
            Admission::Queued => scheduler.saw(Sometimes::Queued),
            Admission::Full(offered) => {
                scheduler.saw(Sometimes::NoRoom);
                return Err((offered.call.ticket, Some(at)));
            }
        }
        Ok(())
    }

    /// Gives back a call that waits for its turn, if it does.
    pub(super) fn retract(&mut self, ticket: &Ticket, scheduler: &mut Scheduler) -> Option<Ticket> {
        let mut queues = self.queues.values_mut();
        let found = queues.find_map(|queue| queue.retract(|call| call.ticket == *ticket))?;
        scheduler.saw(Sometimes::Retracted);
        Some(found.call.ticket)
    }

    /// Has the room of a destination told once there is any.
    pub(super) fn notify_when_free(
        &mut self,
        at: Destination,
        now: Now,
        scheduler: &mut Scheduler,
    ) -> BreakerNews {
        scheduler.saw(Sometimes::AwaitedRoom);
        let queue =
            self.queues.entry(at.clone()).or_insert_with(|| DestinationQueue::new(self.settings));
        let room = queue.notify_when_free(now.mono);
        BreakerNews {
            capacity: freed(at, room, scheduler).into_iter().collect(),
            ..BreakerNews::default()
        }
    }

    /// A call has ended; its place goes to another.
    pub(super) fn ended(
        &mut self,
        http_call: u64,
        answer: Answer,
        now: Now,
        scheduler: &mut Scheduler,
    ) -> Option<BreakerNews> {
        let HttpCall { at, ticket, permit } = self.under_way.remove(&http_call)?;
        let queue = self.queues.get_mut(&at)?;
        let moved = queue.ended(permit, health(&answer), &ticket.gid, now.mono, now.entropy);
        let mut news = self.attend(&at, moved, scheduler);
        news.answers.push((ticket, answer));
        Some(news)
    }

    /// Comes back to the lines that asked for it.
    pub(super) fn wake(&mut self, now: Now, scheduler: &mut Scheduler) -> BreakerNews {
        let mut news = BreakerNews::default();
        let is_due =
            |queue: &DestinationQueue<Call>| queue.next_wake().is_some_and(|at| at <= now.mono);
        let due = self.queues.iter().filter(|(_, queue)| is_due(queue));
        let due: Vec<Destination> = due.map(|(at, _)| at.clone()).collect();
        for at in due {
            let Some(queue) = self.queues.get_mut(&at) else { continue };
            let moved = queue.wake(now.mono, now.entropy);
            if queue.next_wake().is_some_and(|at| at <= now.mono) {
                scheduler.broke(format!("the line of {at} asks to be woken again at once"));
            }
            let more = self.attend(&at, moved, scheduler);
            news.answers.extend(more.answers);
            news.capacity.extend(more.capacity);
        }
        news
    }

    pub(super) fn next_wake(&self) -> Option<tercet_wire::Mono> {
        self.queues.values().filter_map(DestinationQueue::next_wake).min()
    }

    /// P9: so many calls under way to one participant, so many waiting, and no more.
    pub(crate) fn within_bounds(&self, scheduler: &mut Scheduler) {
        let DestinationQueueSettings { concurrency, queue_entries, .. } = self.settings;
        for (at, queue) in &self.queues {
            let under_way = self.under_way.values().filter(|http_call| http_call.at == *at);
            let (probes, calls): (Vec<_>, Vec<_>) =
                under_way.partition(|http_call| http_call.permit.is_probe());
            if calls.len() > concurrency.max(1) || probes.len() > SPARE {
                scheduler.broke(format!("{at} has {} calls at once", calls.len() + probes.len()));
            }
            if queue.waiting() > queue_entries {
                scheduler.broke(format!("{} calls wait for {at}", queue.waiting()));
            }
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.queues.values().all(|queue| queue.waiting() == 0)
    }

    fn attend(
        &mut self,
        at: &Destination,
        moved: Moved<Call>,
        scheduler: &mut Scheduler,
    ) -> BreakerNews {
        let Moved { next, expired, room, turned } = moved;
        for next in next {
            self.make(at, next, scheduler);
        }
        match turned {
            Some(Turned::Opened) => scheduler.saw(Sometimes::BreakerOpened),
            Some(Turned::Closed { .. }) => scheduler.saw(Sometimes::BreakerClosed),
            None => {}
        }
        let answers = expired.into_iter().map(|Expired { offered, waited }| {
            scheduler.saw(Sometimes::ExpiredBehindABreaker);
            let why = format!("waited {} ms behind its open breaker", waited.as_millis());
            (offered.call.ticket, Answer::Nothing { why })
        });
        let answers = answers.collect();
        BreakerNews { answers, capacity: freed(at.clone(), room, scheduler).into_iter().collect() }
    }

    fn make(&mut self, at: &Destination, next: Next<Call>, scheduler: &mut Scheduler) {
        let Next { offered, permit } = next;
        if permit.is_probe() {
            scheduler.saw(Sometimes::Probe);
        }
        self.next += 1;
        let (life, http_call) = (self.life, self.next);
        let Call { ticket, branch, deadline_at, .. } = offered.call;
        scheduler.after(millis(branch.timeout), ScheduledEvent::CallGivenUp { life, http_call });
        let Ok(legs) = branch.legs().parse() else { return };
        let made = HttpCall { at: at.clone(), ticket: ticket.clone(), permit };
        self.under_way.insert(http_call, made);
        let arriving = Arriving {
            service: service_of(&branch),
            gid: ticket.gid.clone(),
            branch: ticket.branch.clone(),
            instance: ticket.instance,
            op: ticket.op,
            legs,
            deadline: deadline_at,
            quantity: quantity_of(&branch),
            from: Caller::Node { http_call, ticket },
        };
        network::call(arriving, scheduler);
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
