//! One world: everything that is drawn from one seed, and what happens in it until it rests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{LifeState, StoredTransaction};
use tercet_wire::Incarnation;

use crate::actor::{Actor, contender, initiator, operator};
use crate::content::{Content, gid};
use crate::coverage::{Coverage, Mishap, Sometimes};
use crate::initiators::{Initiators, at_rest as at_rest_of_messages};
use crate::log::Log;
use crate::node::{Around, KNOWN_WITHIN_MS, LineEnd, Node};
use crate::oracle::{Oracle, at_rest};
use crate::rng::Rng;
use crate::rows::Rows;
use crate::scheduled_event::{Caller, Fault, NodeEvent, ScheduledEvent};
use crate::scheduler::Scheduler;
use crate::service::Service;

/// So much happens in no world that comes to rest.
const MOST: u64 = 200_000;

/// After this long without faults everything must be over: an hour for each jump of the wall clock
/// that may have moved a deadline across a restart, and the longest pauses.
const REST_WITHIN_MS: u64 = 4 * 3_600_000;

/// One world.
pub(crate) struct World {
    scheduler: Scheduler,
    nodes: Vec<Node>,
    rows: Rows,
    services: Vec<Service>,
    initiators: Initiators,
    actors: Vec<Actor>,
    oracle: Oracle,
    /// Services that were paused, and until when.
    paused_until: BTreeMap<usize, u64>,
}

/// How a world ended.
pub(crate) struct Ended {
    pub(crate) broken: Option<String>,
    pub(crate) coverage: Coverage,
    pub(crate) log: Log,
}

impl World {
    pub(crate) fn new(seed: u64, log: Log) -> Self {
        let mut scheduler = Scheduler::new(Rng::new(seed), log);
        let plan = scheduler.plan.clone();
        let stock = i64::try_from(plan.service.stock).unwrap_or(i64::MAX);
        let wrong = plan.service.wrong.then(|| scheduler.rng.index(plan.services));
        let services = (0..plan.services)
            .map(|number| Service::new(number, stock, wrong == Some(number)))
            .collect();
        let mut world = Self {
            scheduler,
            nodes: (0..plan.cluster.nodes).map(Node::new).collect(),
            rows: Rows::default(),
            services,
            initiators: Initiators::default(),
            actors: Vec::new(),
            oracle: Oracle::default(),
            paused_until: BTreeMap::new(),
        };
        world.cast();
        world.send();
        world.plot();
        world
    }

    /// Runs until everything rests or a promise is broken.
    pub(crate) fn run(mut self) -> Ended {
        for happened in 0.. {
            if self.scheduler.broken.is_some() {
                break;
            }
            if happened > MOST {
                self.scheduler.broke("the world does not come to rest");
                break;
            }
            let is_over_at = self.scheduler.plan.heal_at + REST_WITHIN_MS;
            match self.scheduler.next() {
                Some(event) if self.scheduler.now <= is_over_at => self.happens(event),
                Some(_) | None => {
                    self.rests();
                    break;
                }
            }
        }
        let Scheduler { broken, coverage, log, .. } = self.scheduler;
        Ended { broken, coverage, log }
    }

    /// Who wants what.
    fn cast(&mut self) {
        let plan = self.scheduler.plan.clone();
        for number in 0..plan.transactions {
            let rng = &mut self.scheduler.rng;
            let content = Content::draw(number, &plan, rng).checked(&plan, rng);
            let content = Arc::new(content);
            let begins = rng.below(plan.heal_at);
            let script = initiator(&content, rng);
            self.enters(begins, &content, script);
            while self.scheduler.rng.percent(plan.actor.contend.max(plan.actor.repeat) / 2) {
                let later = begins + self.scheduler.rng.mostly_small(40_000);
                let script = contender(&content, &plan, &mut self.scheduler.rng);
                self.enters(later, &content, script);
            }
            if self.scheduler.rng.percent(plan.actor.operators) {
                let longest = self.scheduler.rng.pick(&[3_000, 40_000]);
                let later = begins + self.scheduler.rng.mostly_small(longest);
                let script = operator(&content, &mut self.scheduler.rng);
                self.enters(later, &content, script);
            }
            if self.scheduler.rng.percent(plan.journal.rejected) {
                self.rows.rejected.insert(gid(number));
                self.scheduler.saw(Mishap::Rejected);
            }
        }
    }

    /// What is sent with initiators' work, and now and then twice.
    fn send(&mut self) {
        let plan = self.scheduler.plan.clone();
        let Self { scheduler, initiators, actors, .. } = self;
        for number in 0..plan.initiator.messages {
            let content = Arc::new(Content::message(number, &plan, &mut scheduler.rng));
            for _ in 0..scheduler.rng.pick(&[1, 1, 1, 2]) {
                let at = scheduler.rng.below(plan.heal_at);
                initiators.will_send(at, &content, scheduler);
            }
        }
        if plan.initiator.messages > 0 {
            initiators.with_relays(plan.initiator.relays, actors.len(), scheduler);
        }
    }

    fn enters(
        &mut self,
        at: u64,
        content: &Arc<Content>,
        script: std::collections::VecDeque<crate::actor::Step>,
    ) {
        let actor = self.actors.len();
        self.actors.push(Actor::new(actor, Arc::clone(content), script));
        self.scheduler.at(at, ScheduledEvent::Act { actor });
    }

    /// What goes wrong, and when.
    fn plot(&mut self) {
        let scheduler = &mut self.scheduler;
        let plan = scheduler.plan.clone();
        for node in 0..plan.cluster.nodes {
            scheduler.at(0, ScheduledEvent::Fault(Fault::NodeStarts { node }));
        }
        scheduler.at(plan.heal_at, ScheduledEvent::Heal);
        let mut some = |count: u64, fault: fn(&mut Scheduler, usize) -> Fault| {
            for _ in 0..count {
                let at = scheduler.rng.below(plan.heal_at);
                let fault = fault(scheduler, plan.services);
                scheduler.at(at, ScheduledEvent::Fault(fault));
            }
        };
        some(plan.node.crashes, |it, _| Fault::NodeDies { node: it.some_node() });
        some(plan.node.stops, |it, _| Fault::NodeStops {
            node: it.some_node(),
            grace_ms: it.rng.mostly_small(30_000),
        });
        some(plan.node.freezes, |it, _| Fault::NodeFreezes {
            node: it.some_node(),
            for_ms: it.rng.mostly_small(60_000),
        });
        some(plan.node.wall_jumps, |it, _| Fault::WallJumps {
            node: it.some_node(),
            // What nodes date they delete by each other's clocks, which part by no hours.
            by_ms: match it.is_cluster() {
                true => it.rng.pick(&[-5_000, -1_000, 1_000, 5_000]),
                false => it.rng.pick(&[-3_600_000, -5_000, 5_000, 3_600_000]),
            },
        });
        if plan.cluster.nodes > 1 {
            some(plan.cluster.cut_offs, |it, _| Fault::NodeCutOff {
                node: it.some_node(),
                for_ms: it.rng.between(100, 15_000),
            });
            some(plan.cluster.long_freezes, |it, _| Fault::NodeFreezes {
                node: it.some_node(),
                for_ms: it.rng.between(2_000, 15_000),
            });
        }
        some(plan.journal.full, |it, _| Fault::DiskFull { for_ms: it.rng.mostly_small(30_000) });
        some(plan.service.outages, |it, services| Fault::ServiceDown {
            service: it.rng.index(services),
            for_ms: it.rng.mostly_small(60_000),
        });
        some(plan.net.partitions, |it, services| Fault::Partition {
            service: it.rng.index(services),
            for_ms: it.rng.mostly_small(60_000),
        });
        some(plan.pauses, |it, services| Fault::Paused {
            // The initiators' service comes after all participants.
            service: it.rng.index(services + usize::from(it.plan.initiator.check > 0)),
            for_ms: it.rng.pick(&[500, 5_000, 30_000, 150_000]),
        });
        some(plan.service.crashes, |it, services| Fault::ServiceCrashes {
            service: it.rng.index(services),
        });
        // The initiators' service comes after them.
        some(plan.initiator.outages, |it, services| Fault::ServiceDown {
            service: services,
            for_ms: it.rng.mostly_small(60_000),
        });
        some(plan.initiator.partitions, |it, services| Fault::Partition {
            service: services,
            for_ms: it.rng.mostly_small(60_000),
        });
        some(plan.initiator.relay_crashes, |it, _| Fault::RelayDies {
            relay: it.rng.index(it.plan.initiator.relays),
        });
        some(plan.initiator.relay_freezes, |it, _| Fault::RelayFreezes {
            relay: it.rng.index(it.plan.initiator.relays),
            for_ms: it.rng.between(500, 30_000),
        });
    }

    fn happens(&mut self, scheduled_event: ScheduledEvent) {
        // A process that is frozen does nothing; what is meant for it waits.
        let of_node = scheduled_event.of_node(&self.scheduler);
        let node = of_node.and_then(|number| self.nodes.get(number));
        if let Some(until) = node.and_then(|node| node.frozen_until(&self.scheduler)) {
            return self.scheduler.at(until, scheduled_event);
        }
        let number = of_node.unwrap_or_default();
        let Self { scheduler, nodes, rows, services, initiators, actors, oracle, .. } = self;
        let Some(node) = nodes.get_mut(number) else { return };
        match scheduled_event {
            ScheduledEvent::Act { actor } => actors[actor].acts(scheduler),
            ScheduledEvent::Heard { actor, number, heard } => match actors.get_mut(actor) {
                Some(actor) => actor.hears(number, heard, scheduler),
                None => {
                    let relay = actor - actors.len();
                    initiators.relay_hears(relay, (actor, number), heard, scheduler);
                }
            },
            ScheduledEvent::Relay { relay, life, event } => {
                initiators.relay_happens(relay, life, event, rows, scheduler);
            }
            ScheduledEvent::Send(content) => initiators.sends(content, scheduler),
            ScheduledEvent::SendEnds(content) => initiators.send_ends(content, scheduler),
            ScheduledEvent::Call(call) => services[call.service].called(call, scheduler),
            ScheduledEvent::Commit { service, run } => {
                let wall = node.wall(scheduler);
                services[service].commits(run, wall, scheduler);
            }
            ScheduledEvent::TurnGivenUp { service, waiting } => {
                services[service].turn_given_up(waiting, scheduler);
            }
            ScheduledEvent::Ask(asked) => node.asked(asked, scheduler),
            ScheduledEvent::Orphan { life, submitted } => {
                match rows.commit(life, &submitted, false) {
                    Ok(committed) => {
                        scheduler.saw(Sometimes::OrphanHappened);
                        oracle.committed(life, &submitted, &committed, initiators, scheduler);
                    }
                    Err(_) => scheduler.saw(Sometimes::OrphanFenced),
                }
            }
            ScheduledEvent::Question(question) => initiators.asked(question, scheduler),
            ScheduledEvent::Work(work) => initiators.records(work, scheduler),
            ScheduledEvent::WorkEnds { gid } => initiators.work_ends(&gid, scheduler),
            ScheduledEvent::Fault(fault) => self.goes_wrong(fault),
            ScheduledEvent::Heal => self.heals(),
            ScheduledEvent::Node { life, event } => {
                node.happens(
                    life,
                    event,
                    &mut Around { scheduler, rows, services, initiators, oracle },
                );
            }
            ScheduledEvent::Answer { to, answer } => {
                if let Caller::Node { http_call, ticket } = to {
                    let mut around = Around { scheduler, rows, services, initiators, oracle };
                    node.answered(http_call, ticket, answer, &mut around);
                }
            }
        }
        if self.scheduler.healed && self.scheduler.is_cluster() {
            self.scheduler.settled = self.is_settled();
        }
    }

    /// Whether every node runs, each row of a life is that of one of them, and each transaction is
    /// driven by one. Without faults that stays so.
    fn is_settled(&self) -> bool {
        let goes_on = |node: &Node| node.lasting_life(&self.scheduler);
        let lives: Option<BTreeSet<Incarnation>> = self.nodes.iter().map(goes_on).collect();
        let Some(lives) = lives else { return false };
        let rows = &self.rows;
        let known = rows.lives.rows().filter(|row| row.state == LifeState::Live);
        let live: BTreeSet<Incarnation> = known.map(|row| row.incarnation).collect();
        let is_driven = |stored: &StoredTransaction| {
            stored.status.is_finished() || stored.owner.is_some_and(|owner| lives.contains(&owner))
        };
        live == lives && rows.lives.rows().count() == live.len() && rows.all().all(is_driven)
    }

    fn goes_wrong(&mut self, fault: Fault) {
        let Self { scheduler, nodes, rows, services, initiators, oracle, .. } = self;
        let restarts = matches!(fault, Fault::NodeStarts { .. } | Fault::Resumed { .. });
        if scheduler.healed && !restarts {
            return;
        }
        scheduler.note(|| format!("fault: {fault:?}"));
        let now = scheduler.now;
        match fault {
            Fault::NodeDies { node } => {
                let node = &mut nodes[node];
                if node.running.is_none() {
                    return;
                }
                scheduler.saw(Mishap::NodeCrash);
                node.dies(&mut Around { scheduler, rows, services, initiators, oracle });
                rows.damage(|| {
                    scheduler.fault(scheduler.plan.journal.unreadable, Mishap::RowsDamaged)
                });
            }
            Fault::NodeStops { node, grace_ms } => {
                scheduler.saw(Mishap::NodeStops);
                nodes[node].stops(Duration::from_millis(grace_ms), scheduler);
            }
            Fault::NodeStarts { node } => {
                nodes[node].starts(&mut Around { scheduler, rows, services, initiators, oracle });
            }
            Fault::NodeCutOff { node, for_ms } => {
                scheduler.saw(Mishap::NodeCutOff);
                nodes[node].is_cut_off(now + for_ms);
            }
            Fault::NodeFreezes { node, for_ms } => {
                scheduler.saw(Mishap::Freeze);
                nodes[node]
                    .freezes(for_ms, &mut Around { scheduler, rows, services, initiators, oracle });
            }
            Fault::WallJumps { node, by_ms } => {
                let node = &mut nodes[node];
                scheduler.saw(if by_ms > 0 { Mishap::WallForward } else { Mishap::WallBack });
                if node.running.is_none() {
                    scheduler.saw(Mishap::WallJumpAcrossRestart);
                }
                scheduler.clocks_were_set = true;
                node.wall_jumps(by_ms);
            }
            Fault::DiskFull { for_ms } => {
                scheduler.saw(Mishap::DiskFull);
                // They share it.
                nodes.iter_mut().for_each(|node| node.disk_is_full(now + for_ms));
            }
            Fault::ServiceDown { service, for_ms } => {
                scheduler.saw(Mishap::ServiceDown);
                scheduler.cut_lines(service, LineEnd::Closed);
                match services.get_mut(service) {
                    Some(service) => service.goes_down(now + for_ms),
                    None => initiators.goes_down(now + for_ms),
                }
            }
            Fault::Partition { service, for_ms } => {
                scheduler.saw(Mishap::Partition);
                // Whoever comes back behind the name is another machine.
                scheduler.cut_lines(service, LineEnd::Swallows);
                match services.get_mut(service) {
                    Some(service) => service.is_cut_off(now + for_ms),
                    None => initiators.is_cut_off(now + for_ms),
                }
            }
            Fault::Paused { service, for_ms } => {
                let (name, until) = (called_by(service, scheduler), now + for_ms);
                let known = self.paused_until.entry(service).or_default();
                *known = until.max(*known);
                rows.paused.insert(name);
                tell_of_pauses(nodes, scheduler);
                scheduler.at(until, ScheduledEvent::Fault(Fault::Resumed { service }));
            }
            Fault::Resumed { service } => {
                if self.paused_until.get(&service).is_none_or(|until| *until <= now) {
                    rows.paused.remove(&called_by(service, scheduler));
                    tell_of_pauses(nodes, scheduler);
                }
            }
            Fault::RelayDies { relay } => initiators.relay_dies(relay, scheduler),
            Fault::RelayFreezes { relay, for_ms } => {
                initiators.relay_freezes(relay, now + for_ms, scheduler);
            }
            Fault::ServiceCrashes { service } => {
                scheduler.saw(Mishap::ServiceCrash);
                scheduler.cut_lines(service, LineEnd::Closed);
                services[service].crashes();
            }
        }
    }

    /// All faults end. Where rows were damaged or rejected an operator mends them and starts the
    /// coordinator again, as its log asks for.
    fn heals(&mut self) {
        let Self { scheduler, nodes, rows, services, initiators, oracle, .. } = self;
        scheduler.note(|| "all faults end".to_owned());
        scheduler.healed = true;
        for service in services.iter_mut() {
            service.heals();
        }
        initiators.heals();
        // Of what was rejected just now the log may not tell yet.
        let is_any_rejected = !rows.rejected.is_empty();
        rows.mend();
        if !oracle.excused.is_empty() || is_any_rejected {
            for node in nodes {
                node.dies(&mut Around { scheduler, rows, services, initiators, oracle });
            }
        }
    }

    fn rests(&mut self) {
        let Self { scheduler, nodes, rows, services, initiators, .. } = self;
        if !initiators.is_idle() {
            scheduler.broke("an initiator's work, or what it sent, does not end");
        }
        at_rest_of_messages(initiators, rows, scheduler);
        for node in nodes {
            match &node.running {
                None => scheduler.broke("a coordinator is not there"),
                Some(running) => at_rest(running, rows, services, scheduler),
            }
        }
        if rows.lives.rows().count() != scheduler.plan.cluster.nodes {
            scheduler.broke("the row of a dead life is still there");
        }
    }
}

/// The `host:port` of a service; that of the initiators comes after all participants.
fn called_by(service: usize, scheduler: &Scheduler) -> String {
    match service < scheduler.plan.services {
        true => format!("s{service}:80"),
        false => "initiators:80".to_owned(),
    }
}

/// Each node reads who is paused, sooner or later.
fn tell_of_pauses(nodes: &[Node], scheduler: &mut Scheduler) {
    for running in nodes.iter().filter_map(|node| node.running.as_ref()) {
        let (life, event) = (running.life, NodeEvent::ReadsPauses);
        let wait = scheduler.rng.below(KNOWN_WITHIN_MS);
        scheduler.after(wait, ScheduledEvent::Node { life, event });
    }
}
