//! The network between coordinator, initiators and participants: it delays, drops, doubles and
//! reorders calls and answers, each for itself.

use tercet_wire::Answer;

use crate::coverage::Mishap;
use crate::scheduled_event::{Caller, Heard, ScheduledEvent};
use crate::scheduler::Scheduler;

/// A call sets out, or a question.
pub(crate) fn call(call: ScheduledEvent, scheduler: &mut Scheduler) {
    let plan = scheduler.plan.net.clone();
    if scheduler.fault(plan.lose_call, Mishap::CallLost) {
        return;
    }
    if scheduler.fault(plan.double, Mishap::CallDoubled) {
        let delay = delay(scheduler);
        scheduler.after(delay, call.clone());
    }
    let delay = match scheduler.fault(plan.late, Mishap::CallLate) {
        true => {
            // Often while whoever made it still waits, and may have been overtaken by an operator.
            let longest = scheduler.rng.pick(&[10_000, 10_000, 120_000]);
            scheduler.rng.between(1_000, longest)
        }
        false => delay(scheduler),
    };
    scheduler.after(delay, call);
}

/// An answer sets out.
pub(crate) fn answer(to: Caller, answer: Answer, scheduler: &mut Scheduler) {
    if scheduler.fault(scheduler.plan.net.lose_answer, Mishap::AnswerLost) {
        return;
    }
    let delay = delay(scheduler);
    let scheduled_event = match to {
        Caller::Actor { actor, number } => {
            ScheduledEvent::Heard { actor, number, heard: Heard::Try(answer) }
        }
        to @ Caller::Node { .. } => ScheduledEvent::Answer { to, answer },
    };
    scheduler.after(delay, scheduled_event);
}

/// How long one message takes.
pub(crate) fn delay(scheduler: &mut Scheduler) -> u64 {
    let longest = if scheduler.healed { 1 } else { scheduler.plan.net.delay };
    scheduler.rng.mostly_small(longest)
}
