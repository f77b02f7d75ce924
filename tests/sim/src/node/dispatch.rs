//! The dispatcher: so many calls under way to one participant, so many waiting, and for each call
//! one answer or the end of patience.

use std::collections::{BTreeMap, VecDeque};

use tercet_protocol::{Answer, Call, Ticket};

use crate::content::{quantity_of, service_of};
use crate::coverage::Sometimes;
use crate::happening::{Arriving, Caller, Happening};
use crate::network;
use crate::node::life::millis;
use crate::node::{Around, Node};
use crate::stage::Stage;

/// All destinations of one life.
#[derive(Debug, Default)]
pub(crate) struct Dispatch {
    lines: BTreeMap<usize, Line>,
    under_way: BTreeMap<u64, (usize, Ticket)>,
    next: u64,
}

#[derive(Debug, Default)]
struct Line {
    under_way: usize,
    waiting: VecDeque<Call>,
}

impl Dispatch {
    /// Makes a call, or keeps it until it is its turn, or has no room for it.
    pub(super) fn send(&mut self, life: u64, call: Call, stage: &mut Stage) -> Result<(), Ticket> {
        let service = service_of(&call.branch);
        let line = self.lines.entry(service).or_default();
        let plan = &stage.plan.dispatch;
        if line.under_way >= plan.concurrency {
            if line.waiting.len() >= plan.queue {
                stage.saw(Sometimes::NoRoom);
                return Err(call.ticket);
            }
            stage.saw(Sometimes::Queued);
            line.waiting.push_back(call);
            return Ok(());
        }
        line.under_way += 1;
        self.make(life, service, call, stage);
        Ok(())
    }

    /// P9: so many calls under way to one participant, so many waiting, and no more.
    pub(crate) fn within_bounds(&self, stage: &mut Stage) {
        let plan = stage.plan.dispatch.clone();
        for (service, line) in &self.lines {
            if line.under_way > plan.concurrency || line.waiting.len() > plan.queue {
                stage.broke(format!("service {service} has too many calls"));
            }
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.lines.values().all(|line| line.waiting.is_empty())
    }

    fn make(&mut self, life: u64, service: usize, call: Call, stage: &mut Stage) {
        self.next += 1;
        let exchange = self.next;
        let patience = millis(call.branch.timeout);
        stage.after(patience, Happening::CallGivenUp { life, exchange });
        let Call { ticket, branch, deadline_at, .. } = call;
        let Ok(legs) = branch.legs().parse() else { return };
        self.under_way.insert(exchange, (service, ticket.clone()));
        let arriving = Arriving {
            service,
            gid: ticket.gid.clone(),
            branch: ticket.branch.clone(),
            instance: ticket.instance,
            op: ticket.op,
            legs,
            deadline: deadline_at,
            quantity: quantity_of(&branch),
            from: Caller::Node { exchange, ticket },
        };
        network::call(arriving, stage);
    }

    /// A call has ended; the one that waited longest takes its place.
    fn ended(&mut self, life: u64, exchange: u64, stage: &mut Stage) -> Option<Ticket> {
        let (service, ticket) = self.under_way.remove(&exchange)?;
        let line = self.lines.get_mut(&service)?;
        match line.waiting.pop_front() {
            Some(next) => self.make(life, service, next, stage),
            None => line.under_way -= 1,
        }
        Some(ticket)
    }
}

impl Node {
    /// An answer arrives, for a call of this life or of another.
    pub(crate) fn answered(
        &mut self,
        exchange: u64,
        ticket: &Ticket,
        answer: Answer,
        around: &mut Around<'_>,
    ) {
        let stage = &mut *around.stage;
        let Some(running) = &mut self.running else { return };
        let life = running.life;
        let ended = (ticket.epoch.0 == life)
            .then(|| running.dispatch.ended(life, exchange, stage))
            .flatten();
        if let Some(ticket) = ended {
            running.answers.push_back((ticket, answer));
        } else if stage.fault(stage.plan.net.stale, Sometimes::AnswerAfterItsTime) {
            if ticket.epoch.0 != life {
                stage.saw(Sometimes::AnswerOfAnOldLife);
            }
            running.answers.push_back((ticket.clone(), answer));
        }
        let delay = stage.chance.below(2);
        self.wake(delay, stage);
    }

    /// The patience with a call is over.
    pub(crate) fn call_given_up(&mut self, life: u64, exchange: u64, around: &mut Around<'_>) {
        let stage = &mut *around.stage;
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        if let Some(ticket) = running.dispatch.ended(life, exchange, stage) {
            stage.saw(Sometimes::Timeout);
            running.answers.push_back((ticket, Answer::Nothing { why: "timeout".to_owned() }));
            self.wake(0, stage);
        }
    }
}
