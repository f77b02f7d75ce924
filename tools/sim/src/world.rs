//! One world: everything that is drawn from one seed, and what happens in it until it rests.

use std::sync::Arc;

use crate::actor::{Actor, contender, initiator, operator};
use crate::chance::Chance;
use crate::content::{Content, gid};
use crate::coverage::{Coverage, Mishap, Sometimes};
use crate::happening::{Caller, Fault, Happening};
use crate::journal::Rows;
use crate::log::Log;
use crate::node::{Around, Node};
use crate::oracle::{Oracle, at_rest};
use crate::service::Service;
use crate::stage::Stage;

/// So much happens in no world that comes to rest.
const MOST: u64 = 200_000;

/// After this long without faults everything must be over: an hour for each jump of the wall clock
/// that may have moved a deadline across a restart, and the longest pauses.
const REST_WITHIN_MS: u64 = 4 * 3_600_000;

/// One world.
pub(crate) struct World {
    stage: Stage,
    node: Node,
    rows: Rows,
    services: Vec<Service>,
    actors: Vec<Actor>,
    oracle: Oracle,
}

/// How a world ended.
pub(crate) struct Ended {
    pub(crate) broken: Option<String>,
    pub(crate) coverage: Coverage,
    pub(crate) log: Log,
}

impl World {
    pub(crate) fn new(seed: u64, log: Log) -> Self {
        let mut stage = Stage::new(Chance::new(seed), log);
        let plan = stage.plan.clone();
        let stock = i64::try_from(plan.service.stock).unwrap_or(i64::MAX);
        let wrong = plan.service.wrong.then(|| stage.chance.index(plan.services));
        let services = (0..plan.services)
            .map(|number| Service::new(number, stock, wrong == Some(number)))
            .collect();
        let mut world = Self {
            stage,
            node: Node::default(),
            rows: Rows::default(),
            services,
            actors: Vec::new(),
            oracle: Oracle::default(),
        };
        world.cast();
        world.plot();
        world
    }

    /// Runs until everything rests or a promise is broken.
    pub(crate) fn run(mut self) -> Ended {
        for happened in 0.. {
            if self.stage.broken.is_some() {
                break;
            }
            if happened > MOST {
                self.stage.broke("the world does not come to rest");
                break;
            }
            let Some(happening) = self.stage.next() else {
                self.rests();
                break;
            };
            if self.stage.now > self.stage.plan.heal_at + REST_WITHIN_MS {
                self.rests();
                break;
            }
            self.happens(happening);
        }
        let Stage { broken, coverage, log, .. } = self.stage;
        Ended { broken, coverage, log }
    }

    /// Who wants what.
    fn cast(&mut self) {
        let plan = self.stage.plan.clone();
        for number in 0..plan.transactions {
            let chance = &mut self.stage.chance;
            let content = Arc::new(Content::draw(number, &plan, chance));
            let begins = chance.below(plan.heal_at);
            let script = initiator(&content, chance);
            self.enters(begins, &content, script);
            while self.stage.chance.percent(plan.actor.contend.max(plan.actor.repeat) / 2) {
                let later = begins + self.stage.chance.mostly_small(40_000);
                let script = contender(&content, &plan, &mut self.stage.chance);
                self.enters(later, &content, script);
            }
            if self.stage.chance.percent(plan.actor.operators) {
                let later = begins + self.stage.chance.mostly_small(40_000);
                let script = operator(&content, &mut self.stage.chance);
                self.enters(later, &content, script);
            }
            if self.stage.chance.percent(plan.journal.rejected) {
                self.rows.rejected.insert(gid(number));
                self.stage.saw(Mishap::Rejected);
            }
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
        self.stage.at(at, Happening::Act { actor });
    }

    /// What goes wrong, and when.
    fn plot(&mut self) {
        let stage = &mut self.stage;
        let plan = stage.plan.clone();
        stage.at(0, Happening::Fault(Fault::NodeStarts));
        stage.at(plan.heal_at, Happening::Heal);
        let mut some = |count: u64, fault: fn(&mut Chance, usize) -> Fault| {
            for _ in 0..count {
                let at = stage.chance.below(plan.heal_at);
                let fault = fault(&mut stage.chance, plan.services);
                stage.at(at, Happening::Fault(fault));
            }
        };
        some(plan.node.crashes, |_, _| Fault::NodeDies);
        some(plan.node.freezes, |chance, _| Fault::NodeFreezes {
            for_ms: chance.mostly_small(60_000),
        });
        some(plan.node.wall_jumps, |chance, _| Fault::WallJumps {
            by_ms: chance.pick(&[-3_600_000, -5_000, 5_000, 3_600_000]),
        });
        some(plan.journal.full, |chance, _| Fault::DiskFull {
            for_ms: chance.mostly_small(30_000),
        });
        some(plan.service.outages, |chance, services| Fault::ServiceDown {
            service: chance.index(services),
            for_ms: chance.mostly_small(60_000),
        });
        some(plan.net.partitions, |chance, services| Fault::Partition {
            service: chance.index(services),
            for_ms: chance.mostly_small(60_000),
        });
        some(plan.service.crashes, |chance, services| Fault::ServiceCrashes {
            service: chance.index(services),
        });
    }

    fn happens(&mut self, happening: Happening) {
        // A process that is frozen does nothing; what is meant for it waits.
        if let Some(until) = self.node.frozen_until(&self.stage)
            && happening.is_of_the_node()
        {
            return self.stage.at(until, happening);
        }
        let Self { stage, node, rows, services, actors, oracle } = self;
        match happening {
            Happening::Act { actor } => {
                if let Some(actor) = actors.get_mut(actor) {
                    actor.acts(stage);
                }
            }
            Happening::Heard { actor, number, heard } => {
                if let Some(actor) = actors.get_mut(actor) {
                    actor.hears(number, heard, stage);
                }
            }
            Happening::Call(call) => {
                if let Some(service) = services.get_mut(call.service) {
                    service.called(call, stage);
                }
            }
            Happening::Commit { service, run } => {
                let wall = node.wall(stage);
                if let Some(service) = services.get_mut(service) {
                    service.commits(run, wall, stage);
                }
            }
            Happening::TurnGivenUp { service, waiting } => {
                if let Some(service) = services.get_mut(service) {
                    service.turn_given_up(waiting, stage);
                }
            }
            Happening::Ask(asked) => node.asked(asked, stage),
            Happening::Orphan { life, batch } => match rows.commit(life, &batch) {
                Ok((changed, _)) => {
                    stage.saw(Sometimes::OrphanHappened);
                    for changed in changed {
                        oracle.written(&changed, stage);
                    }
                }
                Err(_) => stage.saw(Sometimes::OrphanFenced),
            },
            Happening::Fault(fault) => self.goes_wrong(fault),
            Happening::Heal => self.heals(),
            Happening::Round { life } => {
                node.round(life, &mut Around { stage, rows, services, oracle });
            }
            Happening::Submission { life } => {
                node.submitted(life, &mut Around { stage, rows, services, oracle });
            }
            Happening::Load { life, gids } => {
                node.loads(life, gids, &mut Around { stage, rows, services, oracle });
            }
            Happening::Sweep { life, after } => {
                node.sweeps(life, after.as_ref(), &mut Around { stage, rows, services, oracle });
            }
            Happening::Read { life, read } => node.has_read(life, read, stage),
            Happening::Answer { to, answer } => {
                if let Caller::Node { exchange, ticket } = to {
                    node.answered(exchange, &ticket, answer, stage);
                }
            }
            Happening::CallGivenUp { life, exchange } => {
                node.call_given_up(life, exchange, stage);
            }
        }
    }

    fn goes_wrong(&mut self, fault: Fault) {
        let Self { stage, node, rows, services, oracle, .. } = self;
        let restarts = matches!(fault, Fault::NodeStarts);
        if stage.healed && !restarts {
            return;
        }
        stage.note(|| format!("fault: {fault:?}"));
        let now = stage.now;
        match fault {
            Fault::NodeDies => {
                if node.running.is_none() {
                    return;
                }
                stage.saw(Mishap::NodeCrash);
                node.dies(&mut Around { stage, rows, services, oracle });
                rows.damage(|| stage.fault(stage.plan.journal.unreadable, Mishap::RowsDamaged));
            }
            Fault::NodeStarts => node.starts(&mut Around { stage, rows, services, oracle }),
            Fault::NodeFreezes { for_ms } => {
                stage.saw(Mishap::Freeze);
                node.freezes(for_ms, &mut Around { stage, rows, services, oracle });
            }
            Fault::WallJumps { by_ms } => {
                stage.saw(if by_ms > 0 { Mishap::WallForward } else { Mishap::WallBack });
                if node.running.is_none() {
                    stage.saw(Mishap::WallJumpAcrossRestart);
                }
                node.wall_jumps(by_ms);
            }
            Fault::DiskFull { for_ms } => {
                stage.saw(Mishap::DiskFull);
                node.disk_is_full(now + for_ms);
            }
            Fault::ServiceDown { service, for_ms } => {
                stage.saw(Mishap::ServiceDown);
                if let Some(service) = services.get_mut(service) {
                    service.goes_down(now + for_ms);
                }
            }
            Fault::Partition { service, for_ms } => {
                stage.saw(Mishap::Partition);
                if let Some(service) = services.get_mut(service) {
                    service.is_cut_off(now + for_ms);
                }
            }
            Fault::ServiceCrashes { service } => {
                stage.saw(Mishap::ServiceCrash);
                if let Some(service) = services.get_mut(service) {
                    service.crashes();
                }
            }
        }
    }

    /// All faults end. Where rows were damaged or rejected an operator mends them and starts the
    /// coordinator again, as its log asks for.
    fn heals(&mut self) {
        let Self { stage, node, rows, services, oracle, .. } = self;
        stage.note(|| "all faults end".to_owned());
        stage.healed = true;
        for service in services.iter_mut() {
            service.heals();
        }
        rows.mend();
        if !oracle.excused.is_empty() {
            node.dies(&mut Around { stage, rows, services, oracle });
        }
    }

    fn rests(&mut self) {
        let Self { stage, node, rows, services, .. } = self;
        match &node.running {
            None => stage.broke("the coordinator is not there"),
            Some(running) => at_rest(running, rows, services, stage),
        }
    }
}
