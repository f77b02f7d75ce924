//! One call, guarded: the SDK's table says what is done, and what is recorded commits together
//! with the business change.

use tercet_participant::{Action, Arrival, Contradiction, Recorded, State, decide, is_long_past};
use tercet_wire::{Answer, Op, Wall};

use crate::coverage::{Point, Sometimes};
use crate::scheduled_event::Arriving;
use crate::scheduler::Scheduler;
use crate::service::business::{Business, Refused};
use crate::service::{results, status};

pub(super) fn run(
    business: &mut Business,
    call: &Arriving,
    wall: Wall,
    refuses: bool,
    scheduler: &mut Scheduler,
) -> Answer {
    let (op, instance) = (call.op, call.instance);
    let key = (call.gid.clone(), call.branch.clone());
    let recorded = business.recorded.get(&key).copied();
    let long_past = op == Op::Try && is_long_past(call.deadline, wall);
    let arrival = Arrival { op, legs: call.legs, instance, long_past };
    let action = decide(recorded, arrival);
    scheduler.saw(Point::guard(recorded, arrival, action));
    match action {
        Action::Run if refuses => status(409, None),
        Action::Run => match business.run(call, scheduler) {
            Ok(()) => {
                business.recorded.insert(key, Recorded { instance, state: State::after(op) });
                results::answer(call, scheduler)
            }
            Err(Refused) => {
                scheduler.saw(Sometimes::OutOfStock);
                status(409, None)
            }
        },
        Action::Record => {
            scheduler.saw(Sometimes::EmptyCancel);
            business.recorded.insert(key, Recorded { instance, state: State::after(op) });
            status(200, None)
        }
        Action::Repeat => results::answer(call, scheduler),
        Action::Refuse(why) => {
            // Such a call can only come from a fault of the coordinator's.
            if why.is_alarming() {
                scheduler.broke(format!("{}/{}: {op}: {}", call.gid, call.branch, why.detail()));
            }
            if why == Contradiction::HangingTry {
                scheduler.saw(Sometimes::HangingTry);
            }
            status(why.status().as_u16(), None)
        }
    }
}
