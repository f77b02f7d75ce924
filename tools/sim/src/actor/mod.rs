//! Initiators and others who ask: each has a script, asks again when it hears nothing, and may
//! vanish between any two steps.

mod script;

use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) use script::{Address, Step, contender, initiator, operator};
use tercet_engine::{Branch, Refusal, Reply, Transaction, Until};
use tercet_wire::{Answer, BranchId, BranchSpec, Gid, Instance, Op, ResolvedAs, Status};

use crate::content::{Content, quantity_of, service_of};
use crate::coverage::{Mishap, Sometimes, Together};
use crate::initiators::Worked;
use crate::network;
use crate::rows::life_of;
use crate::scheduled_event::{Arriving, Asked, Caller, Heard, LocalWork, ScheduledEvent};
use crate::scheduler::Scheduler;

/// How often one thing is asked for.
const ATTEMPTS: u32 = 30;

/// Somebody who asks.
#[derive(Debug)]
pub(crate) struct Actor {
    number: usize,
    gid: Gid,
    content: Arc<Content>,
    script: VecDeque<Step>,
    /// The request whose answer it waits for.
    asking: Option<u64>,
    requests: u64,
    attempts: u32,
    /// Which node it asks.
    node: usize,
    /// Whether it was sent there by another.
    is_sent: bool,
    /// The life of the gid, once it was told.
    instance: Option<Instance>,
    /// The branches that were all tried when it looked last.
    tried: usize,
}

/// What is asked of the coordinator.
#[derive(Debug, Clone)]
pub(crate) enum Asking {
    Begin { content: Arc<Content>, fresh: bool },
    Register(Box<BranchSpec>),
    RegisterAtOnce(Vec<BranchSpec>),
    Confirm,
    Cancel,
    Refuse,
    Read,
    Retry,
    Resolve(BranchId, ResolvedAs),
    Readdress(BranchId, Address),
}

/// What follows from an answer.
enum Then {
    /// The next step.
    GoOn,
    /// The same again, a little later.
    Again,
    /// An own Try has failed for good: cancel.
    Cancel,
    /// Nothing more.
    End,
}

impl Actor {
    pub(crate) fn new(number: usize, content: Arc<Content>, script: VecDeque<Step>) -> Self {
        Self {
            number,
            gid: content.gid.clone(),
            content,
            script,
            asking: None,
            requests: 0,
            attempts: 0,
            node: 0,
            is_sent: false,
            instance: None,
            tried: 0,
        }
    }

    /// Does the next thing in its script.
    pub(crate) fn acts(&mut self, scheduler: &mut Scheduler) {
        if self.asking.is_some() {
            return;
        }
        let Some(step) = self.script.front().cloned() else { return };
        if self.attempts > 0
            && scheduler.fault(scheduler.plan.actor.vanish, Mishap::InitiatorVanishes)
        {
            return self.script.clear();
        }
        self.requests += 1;
        self.attempts += 1;
        let number = self.requests;
        self.asking = Some(number);
        if let Step::OwnTry(index) = step {
            return self.tries_itself(index, number, scheduler);
        }
        if matches!(step, Step::Work) {
            return self.works(number, scheduler);
        }
        let until = step.until(&mut scheduler.rng);
        let wait_ms = scheduler.rng.pick(&[0, 100, 2_000, 10_000, 60_000]);
        let asking = match step {
            Step::Begin { other, fresh } => {
                let content = match other {
                    true => Arc::new(self.content.other()),
                    false => Arc::clone(&self.content),
                };
                // Whoever asks again knows that the gid may be taken: by itself.
                Asking::Begin { content, fresh: fresh && self.attempts == 1 }
            }
            Step::Register(index) => match self.content.later.get(index) {
                Some(branch) => Asking::Register(Box::new(branch.clone())),
                None => return,
            },
            Step::RegisterAtOnce => Asking::RegisterAtOnce(self.content.later_at_once()),
            Step::OwnTry(_) | Step::Work => return,
            Step::Confirm => Asking::Confirm,
            Step::Cancel => Asking::Cancel,
            Step::Refuse => Asking::Refuse,
            Step::Read | Step::AwaitTries => Asking::Read,
            Step::Retry => Asking::Retry,
            Step::Resolve(branch, as_) => Asking::Resolve(branch, as_),
            Step::Readdress(branch, address) => Asking::Readdress(branch, address),
        };
        let gid = self.gid.clone();
        if !self.is_sent && scheduler.is_cluster() {
            let wanders = scheduler.rng.percent(scheduler.plan.cluster.wander);
            self.node = if wanders { scheduler.some_node() } else { self.node };
        }
        let node = self.node;
        let asked = Asked { node, actor: self.number, number, gid, asking, until, wait_ms };
        let (actor, heard) = (self.number, Heard::Nothing);
        let patience = wait_ms + scheduler.rng.pick(&[50, 20_000]);
        scheduler.after(patience, ScheduledEvent::Heard { actor, number, heard });
        if scheduler.fault(scheduler.plan.actor.repeat / 2, Mishap::RequestDoubled) {
            let delay = network::delay(scheduler);
            // Behind a balancer the second may reach another node.
            let twice = Asked { node: scheduler.some_node(), ..asked.clone() };
            scheduler.after(delay, ScheduledEvent::Ask(twice));
        }
        let delay = network::delay(scheduler);
        scheduler.after(delay, ScheduledEvent::Ask(asked));
    }

    /// Does its own work, in its own database.
    fn works(&self, number: u64, scheduler: &mut Scheduler) {
        let (gid, branches, actor) = (self.gid.clone(), self.tried, self.number);
        let takes = scheduler.rng.mostly_small(2_000);
        let work = LocalWork { gid, branches, actor, number };
        scheduler.after(takes, ScheduledEvent::Work(work));
    }

    /// Calls the Try of a branch that the coordinator leaves to it.
    fn tries_itself(&mut self, index: usize, number: u64, scheduler: &mut Scheduler) {
        let (Some(branch), Some(instance)) = (self.content.later.get(index), self.instance) else {
            self.asking = None;
            return self.script.clear();
        };
        let Ok(legs) = branch.legs().parse() else { return };
        scheduler.saw(Sometimes::InitiatorTries);
        let (actor, heard) = (self.number, Heard::Nothing);
        scheduler.after(2_000, ScheduledEvent::Heard { actor, number, heard });
        let arriving = Arriving {
            service: service_of(branch),
            gid: self.gid.clone(),
            branch: branch.id.clone(),
            instance,
            op: Op::Try,
            legs,
            deadline: None,
            quantity: quantity_of(branch),
            keeps_result: false,
            from: Caller::Actor { actor, number },
        };
        network::call(ScheduledEvent::Call(arriving), scheduler);
    }

    /// Hears what became of a request, or that nothing did.
    pub(crate) fn hears(&mut self, number: u64, heard: Heard, scheduler: &mut Scheduler) {
        if self.asking != Some(number) {
            return;
        }
        self.asking = None;
        let then = match heard {
            Heard::Nothing if self.is_own_try() && self.attempts >= 3 => Then::Cancel,
            Heard::Nothing | Heard::TooBusy => Then::Again,
            Heard::Try(answer) => self.own_try_answered(&answer),
            Heard::Worked(Worked::Committed) => Then::GoOn,
            Heard::Worked(Worked::NotDone) => Then::Cancel,
            Heard::Reply(reply) => self.answered(&reply, scheduler),
        };
        let pause = match then {
            Then::GoOn => {
                self.attempts = 0;
                self.script.pop_front();
                scheduler.rng.mostly_small(500)
            }
            Then::Again if self.attempts < ATTEMPTS => scheduler.rng.between(10, 1_000),
            Then::Cancel => {
                self.attempts = 0;
                self.script = VecDeque::from([Step::Cancel]);
                0
            }
            Then::Again | Then::End => return self.script.clear(),
        };
        scheduler.after(pause, ScheduledEvent::Act { actor: self.number });
    }

    /// Whoever does work that is to be confirmed knows that all is reserved.
    fn are_all_tried(&mut self, transaction: &Transaction) -> Then {
        let branches = transaction.branches();
        match transaction.status() {
            Status::Trying if branches.iter().any(Branch::is_try_outstanding) => Then::Again,
            Status::Trying => {
                self.tried = branches.len();
                Then::GoOn
            }
            Status::Confirming | Status::Cancelling | Status::Confirmed | Status::Cancelled => {
                Then::End
            }
        }
    }

    fn is_own_try(&self) -> bool {
        matches!(self.script.front(), Some(Step::OwnTry(_)))
    }

    fn own_try_answered(&self, answer: &Answer) -> Then {
        match tercet_wire::verdict(Op::Try, answer) {
            tercet_wire::Verdict::Done => Then::GoOn,
            tercet_wire::Verdict::Refused => Then::Cancel,
            tercet_wire::Verdict::InProgress(_) | tercet_wire::Verdict::Again { .. } => {
                if self.attempts < 3 { Then::Again } else { Then::Cancel }
            }
        }
    }

    fn answered(&mut self, reply: &Reply, scheduler: &mut Scheduler) -> Then {
        if let Reply::Refused(Refusal::Elsewhere(owner)) = reply {
            // It asks there next.
            self.node = scheduler.home(life_of(*owner));
            self.is_sent = true;
            return Then::Again;
        }
        if std::mem::take(&mut self.is_sent) && matches!(reply, Reply::Transaction { .. }) {
            scheduler.saw(Together::AnsweredByTheOwner);
        }
        match reply {
            Reply::Transaction { snapshot, .. }
            | Reply::Branch { snapshot, .. }
            | Reply::Branches { snapshot, .. } => {
                self.instance = Some(snapshot.transaction.instance());
                match self.script.front() {
                    Some(Step::AwaitTries) => self.are_all_tried(&snapshot.transaction),
                    _ => Then::GoOn,
                }
            }
            Reply::Refused(refusal) => match refusal {
                Refusal::JournalUnavailable
                | Refusal::Elsewhere(_)
                | Refusal::NotAccepted
                | Refusal::TooManyTransactions { .. }
                | Refusal::TooManyBytes { .. }
                | Refusal::TooManyPagedOut { .. }
                | Refusal::Held
                | Refusal::NotDecided
                | Refusal::NothingToDo(_)
                | Refusal::TriesOutstanding(_)
                | Refusal::Unfit(_)
                | Refusal::Quarantined => Then::Again,
                Refusal::NotFound
                | Refusal::GidReused
                | Refusal::BranchReused(_)
                | Refusal::BranchAmongOthers(_)
                | Refusal::OfSeveral { .. }
                | Refusal::AlreadyConfirmed
                | Refusal::AlreadyCancelled
                | Refusal::NotOpen
                | Refusal::AsksItsInitiator
                | Refusal::AlreadyFinished(_)
                | Refusal::ResolvedOtherwise(..)
                | Refusal::BranchNotFound(_)
                | Refusal::TooManyBranches { .. } => Then::End,
            },
        }
    }
}

impl Step {
    fn until(&self, rng: &mut crate::rng::Rng) -> Until {
        match self {
            Self::Register(_) | Self::RegisterAtOnce => {
                rng.pick(&[Until::Tried, Until::Tried, Until::Accepted])
            }
            Self::Begin { .. }
            | Self::OwnTry(_)
            | Self::Work
            | Self::Confirm
            | Self::Cancel
            | Self::Refuse => rng.pick(&[Until::Finished, Until::Decided, Until::Accepted]),
            Self::AwaitTries => Until::Accepted,
            Self::Read | Self::Retry | Self::Resolve(..) | Self::Readdress(..) => {
                rng.pick(&[Until::Finished, Until::Decided, Until::Accepted])
            }
        }
    }
}
