//! What Tries are answered with. Unlike behind the SDK's guard a Try that is repeated is answered
//! with something else each time: what counts is what the coordinator has made durable.

use tercet_wire::{Answer, BranchResult, Op};

use crate::scheduled_event::Arriving;
use crate::scheduler::Scheduler;
use crate::service::status;

/// As much as two of the results of one transaction cannot have together.
const MUCH: usize = 150_000;

/// How a call is answered that was done.
pub(super) fn answer(call: &Arriving, scheduler: &mut Scheduler) -> Answer {
    if call.op != Op::Try || !call.keeps_result {
        return status(200, None);
    }
    match scheduler.rng.below(40) {
        0 => Answer::ResultTooLarge { code: 200, excerpt: String::new() },
        kind => {
            let mut body = scheduler.rng.below(1_000_000).to_string();
            if kind < 5 {
                // The coordinator is told what its dispatcher makes of a body, whatever its size.
                body.push_str(&" ".repeat(MUCH));
            }
            Answer::Result { code: 200, result: BranchResult::of_body(body.as_bytes()) }
        }
    }
}
