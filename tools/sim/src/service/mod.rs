//! Participants: the SDK's guard over rows in memory, a business with something to run out of,
//! and the ways in which such a service goes wrong.
//!
//! ```text
//!   call ─▶ there? ─▶ mischief? ─▶ the branch's turn ─▶ guard's table ─▶ business ─▶ commit ─▶ answer
//! ```

mod business;
mod guarded;
mod results;

use std::collections::BTreeMap;

pub(crate) use business::Business;
use tercet_wire::{Answer, BranchId, Gid, Op, Wall};

use crate::coverage::{Mishap, Sometimes};
use crate::network;
use crate::scheduled_event::{Arriving, ScheduledEvent};
use crate::scheduler::Scheduler;

/// How long a call waits for another call of its branch; as the SDK's guard does.
const TURN_PATIENCE: u64 = 500;

/// One participant.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) number: usize,
    pub(crate) business: Business,
    /// Calls whose business code runs; nothing of it is committed yet. By the branch, since
    /// one call of a branch runs at a time.
    running: BTreeMap<(Gid, BranchId), Run>,
    /// Calls that wait for their branch's turn, first come first served.
    waiting: BTreeMap<u64, Arriving>,
    next: u64,
    down_until: u64,
    cut_off_until: u64,
    /// Answers wrongly until all faults end.
    wrong: bool,
}

#[derive(Debug)]
struct Run {
    number: u64,
    call: Arriving,
    /// What the call is answered in place of the truth.
    instead: Option<Answer>,
}

/// What a call is met with before the guard sees it.
enum Mischief {
    None,
    /// The call is answered oddly, and nothing is done.
    Before(Answer),
    /// The call is done, and answered oddly.
    After(Answer),
}

impl Service {
    pub(crate) fn new(number: usize, stock: i64, wrong: bool) -> Self {
        Self {
            number,
            business: Business::new(stock),
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
            down_until: 0,
            cut_off_until: 0,
            wrong,
        }
    }

    pub(crate) fn goes_down(&mut self, until: u64) {
        self.down_until = until;
        self.crashes();
    }

    pub(crate) fn is_cut_off(&mut self, until: u64) {
        self.cut_off_until = until;
    }

    /// What runs is lost, and so are the callers who wait: their connections break.
    pub(crate) fn crashes(&mut self) {
        self.running.clear();
        self.waiting.clear();
    }

    pub(crate) fn heals(&mut self) {
        self.down_until = 0;
        self.cut_off_until = 0;
        self.wrong = false;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// A call arrives.
    pub(crate) fn called(&mut self, call: Arriving, scheduler: &mut Scheduler) {
        if scheduler.now < self.cut_off_until {
            return;
        }
        if scheduler.now < self.down_until {
            scheduler.saw(Sometimes::ConnectionRefused);
            let why = "connection refused".to_owned();
            return network::answer(call.from, Answer::Nothing { why }, scheduler);
        }
        let mischief = if self.wrong {
            scheduler.saw(Mishap::WrongForEver);
            mischief(call.op, scheduler)
        } else if scheduler.fault(scheduler.plan.service.odd, Mishap::OddAnswer) {
            mischief(call.op, scheduler)
        } else {
            Mischief::None
        };
        match mischief {
            Mischief::Before(answer) => network::answer(call.from, answer, scheduler),
            Mischief::None => self.take_turn(call, None, scheduler),
            Mischief::After(answer) => self.take_turn(call, Some(answer), scheduler),
        }
    }

    fn take_turn(&mut self, call: Arriving, instead: Option<Answer>, scheduler: &mut Scheduler) {
        let key = (call.gid.clone(), call.branch.clone());
        if let Some(run) = self.running.get(&key) {
            if call.op == Op::Cancel && run.call.op == Op::Try {
                scheduler.saw(Sometimes::CancelWhileTryRuns);
            }
            self.next += 1;
            let (service, waiting) = (self.number, self.next);
            self.waiting.insert(waiting, call);
            scheduler.after(TURN_PATIENCE, ScheduledEvent::TurnGivenUp { service, waiting });
            return;
        }
        self.next += 1;
        let (service, run) = (self.number, self.next);
        let slow = scheduler.fault(scheduler.plan.service.slow, Mishap::SlowBusiness);
        let longest = if slow { scheduler.rng.pick(&[5_000, 25_000]) } else { 3 };
        let takes = match longest {
            25_000 => scheduler.rng.between(2_000, longest),
            _ => scheduler.rng.mostly_small(longest),
        };
        scheduler.after(takes, ScheduledEvent::Commit { service, run });
        self.running.insert(key, Run { number: run, call, instead });
    }

    /// A call waited long enough for another one of its branch.
    pub(crate) fn turn_given_up(&mut self, waiting: u64, scheduler: &mut Scheduler) {
        if let Some(call) = self.waiting.remove(&waiting) {
            scheduler.saw(Sometimes::InProgressAtTheGuard);
            network::answer(call.from, status(202, Some(1_000)), scheduler);
        }
    }

    /// The business code has run; guard and business change commit together.
    pub(crate) fn commits(&mut self, number: u64, wall: Wall, scheduler: &mut Scheduler) {
        let found = self.running.iter().find(|(_, run)| run.number == number);
        let Some(key) = found.map(|(key, _)| key.clone()) else { return };
        let Some(Run { call, instead, .. }) = self.running.remove(&key) else { return };
        let refuses =
            call.op == Op::Try && scheduler.fault(scheduler.plan.service.refuse, Mishap::Refusal);
        let answer = guarded::run(&mut self.business, &call, wall, refuses, scheduler);
        let instead = instead.filter(|instead| !contradicts(instead, &answer));
        network::answer(call.from.clone(), instead.unwrap_or(answer), scheduler);
        let of_branch = |call: &Arriving| (&call.gid, &call.branch) == (&key.0, &key.1);
        let next = self.waiting.iter().find(|(_, call)| of_branch(call)).map(|(next, _)| *next);
        if let Some(call) = next.and_then(|next| self.waiting.remove(&next)) {
            self.take_turn(call, None, scheduler);
        }
    }
}

/// A participant may be confused, late or down; a promise it does not keep nobody can keep for
/// it. So what was not done is never reported done.
fn contradicts(instead: &Answer, truth: &Answer) -> bool {
    is_done(instead) && !is_done(truth)
}

fn is_done(answer: &Answer) -> bool {
    match answer {
        Answer::Status { code, .. }
        | Answer::Result { code, .. }
        | Answer::ResultTooLarge { code, .. } => {
            (200..300).contains(code) && *code != 202 || *code == 410
        }
        Answer::Nothing { .. } | Answer::NotAllowed { .. } => false,
    }
}

fn mischief(op: Op, scheduler: &mut Scheduler) -> Mischief {
    let rng = &mut scheduler.rng;
    let nothing = || Answer::Nothing { why: "connection reset".to_owned() };
    let answer = match rng.below(12) {
        0 | 1 => status(500, None),
        2 => status(503, Some(rng.pick(&[0, 1_000, 200_000]))),
        3 => status(502, None),
        4 | 5 => status(202, rng.pick(&[None, Some(100), Some(3_000)])),
        6 => status(409, Some(200)),
        7 => status(429, None),
        8 => status(rng.pick(&[302, 100, 999, 0]), None),
        9 => nothing(),
        // Of a Try this is a refusal, which is the service's to say; of a Cancel 410 says that
        // it is done, which a service must not say of what it has not done.
        10 => status(rng.pick(&[400, 404, 409, 422]), None),
        _ if op == Op::Cancel => status(404, None),
        _ => status(410, None),
    };
    if rng.one_in(2) { Mischief::Before(answer) } else { Mischief::After(answer) }
}

pub(crate) fn status(code: u16, retry_after_ms: Option<u64>) -> Answer {
    let retry_after = retry_after_ms.map(std::time::Duration::from_millis);
    Answer::Status { code, retry_after, excerpt: String::new() }
}
