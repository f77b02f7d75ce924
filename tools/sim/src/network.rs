//! The network between coordinator, initiators and participants: it delays, drops, doubles and
//! reorders calls and answers, each for itself.

use tercet_wire::Answer;

use crate::coverage::Mishap;
use crate::happening::{Arriving, Caller, Happening, Heard};
use crate::stage::Stage;

/// A call sets out.
pub(crate) fn call(call: Arriving, stage: &mut Stage) {
    let plan = stage.plan.net.clone();
    if stage.fault(plan.lose_call, Mishap::CallLost) {
        return;
    }
    if stage.fault(plan.double, Mishap::CallDoubled) {
        let delay = delay(stage);
        stage.after(delay, Happening::Call(call.clone()));
    }
    let delay = match stage.fault(plan.late, Mishap::CallLate) {
        true => stage.chance.between(1_000, 120_000),
        false => delay(stage),
    };
    stage.after(delay, Happening::Call(call));
}

/// An answer sets out.
pub(crate) fn answer(to: Caller, answer: Answer, stage: &mut Stage) {
    if stage.fault(stage.plan.net.lose_answer, Mishap::AnswerLost) {
        return;
    }
    let delay = delay(stage);
    let happening = match to {
        Caller::Actor { actor, number } => {
            Happening::Heard { actor, number, heard: Heard::Try(answer) }
        }
        to @ Caller::Node { .. } => Happening::Answer { to, answer },
    };
    stage.after(delay, happening);
}

/// How long one message takes.
pub(crate) fn delay(stage: &mut Stage) -> u64 {
    let longest = if stage.healed { 1 } else { stage.plan.net.delay };
    stage.chance.mostly_small(longest)
}
