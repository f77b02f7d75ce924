//! How requests come in: what the API makes of them, and the lanes they wait in.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Ask, Lane, ReplyTo, Request, Wait};
use tercet_wire::{
    Arrival, Audited, Instance, Op, Operator, PerOp, Readdressing, Resolution, refused_begin,
};

use crate::actor::Asking;
use crate::content::url_at;
use crate::coverage::{Mishap, Sometimes};
use crate::node::{Node, Running, Waiting};
use crate::scheduled_event::{Asked, Heard, NodeEvent, ScheduledEvent};
use crate::scheduler::Scheduler;

const OPERATOR: &str = "an operator";

impl Node {
    /// A request arrives.
    pub(crate) fn asked(&mut self, asked: Asked, scheduler: &mut Scheduler) {
        let wall = self.wall(scheduler);
        let Asked { node: _, actor, number, gid, asking, until, wait_ms } = asked;
        let running = self.running.as_mut().filter(|running| running.closes_until.is_none());
        let Some(running) = running else {
            let heard = Heard::Nothing;
            return scheduler.after(1, ScheduledEvent::Heard { actor, number, heard });
        };
        let is_begin = matches!(asking, Asking::Begin { .. });
        if is_begin && running.driver.waiting(Lane::Begins) >= scheduler.plan.begin_lane {
            scheduler.saw(Sometimes::BeginLaneFull);
            let heard = Heard::TooBusy;
            return scheduler.after(1, ScheduledEvent::Heard { actor, number, heard });
        }
        let ask = match asking {
            Asking::Begin { content, fresh } => {
                let instance = instance(&mut scheduler.rng);
                Ask::Begin { spec: content.spec(instance, wall), fresh }
            }
            Asking::Register(spec) => Ask::Register(spec),
            Asking::RegisterAtOnce(specs) => Ask::RegisterAtOnce(specs),
            Asking::Confirm => Ask::Confirm,
            Asking::Cancel => Ask::Cancel { detail: None, if_unknown: None },
            Asking::Refuse => {
                let instance = instance(&mut scheduler.rng);
                let arrival = Arrival { instance, at: wall, traceparent: None };
                let refused = Arc::new(refused_begin(gid.clone(), &arrival));
                Ask::Cancel { detail: None, if_unknown: Some(refused) }
            }
            Asking::Retry => Ask::Retry { by: operator(running.life, running.next_reply) },
            Asking::Resolve(branch, as_) => {
                let (note, by) = (None, operator(running.life, running.next_reply));
                Ask::Resolve(Box::new(Resolution { branch, as_, note, by }))
            }
            Asking::Readdress(branch, address) => {
                let url = |op: Op| {
                    let url = url_at(address, op).parse();
                    Some(Arc::new(url.expect("a URL")))
                };
                let (try_, confirm, cancel) = (url(Op::Try), url(Op::Confirm), url(Op::Cancel));
                let (urls, number) = (PerOp { try_, confirm, cancel }, address.number.to_string());
                let headers = Some([("x-address".to_owned(), number)].into());
                let (note, by) = (None, operator(running.life, running.next_reply));
                let is_endpoint = true;
                let word = Readdressing { branch, urls, is_endpoint, headers, note, by };
                Ask::Readdress(Box::new(word))
            }
            Asking::Read => Ask::Read,
        };
        running.next_reply += 1;
        let reply_to = ReplyTo(running.next_reply);
        let give_up = running.mono(scheduler.now).after(Duration::from_millis(wait_ms));
        let asked_at = scheduler.now;
        let waiting = Waiting { actor, number, gid: gid.clone(), asked_at, hung_up: false };
        running.waiting.insert(reply_to, waiting);
        if scheduler.fault(scheduler.plan.actor.hang_up, Mishap::ClientHangsUp) {
            let wait = scheduler.rng.below(wait_ms + 1);
            running.after(wait, NodeEvent::HungUp(reply_to), scheduler);
        }
        running.driver.request(Request { reply_to, gid, ask, wait: Wait { until, give_up } });
        let delay = scheduler.rng.below(2);
        self.wake(delay, scheduler);
    }
}

impl Running {
    /// Whoever asked this hears nothing any more.
    pub(super) fn hung_up(&mut self, reply_to: ReplyTo, scheduler: &mut Scheduler) {
        if let Some(waiting) = self.waiting.get_mut(&reply_to) {
            waiting.hung_up = true;
            if self.driver.core().engine().is_waiting(&waiting.gid, reply_to) {
                scheduler.saw(Sometimes::HungUpWhileWaiting);
            }
            self.driver.hung_up(waiting.gid.clone(), reply_to);
        }
    }
}

/// Somebody who does something. Each act has an id of its own.
fn operator(life: u64, number: u64) -> Operator {
    let id = format!("01980000-0000-7000-9000-{life:04x}{number:08x}");
    let id = id.parse().expect("a UUID as it is written");
    Operator { who: Arc::from(OPERATOR), audited: Audited::Row { id, role: "operator" } }
}

fn instance(rng: &mut crate::rng::Rng) -> Instance {
    let number = rng.next() >> 16;
    let text = format!("01980000-0000-7000-8000-{number:012x}");
    text.parse().expect("a UUID as it is written")
}
