//! Which points of the list an event reaches.

use tercet_engine::{Ask, BranchState, CallState, Core, Event, Input, Load};
use tercet_wire::{Gid, Op, Status, Verdict, verdict};

use crate::coverage::{Kind, Meaning, Place, Point, Sometimes, Together};
use crate::node::Running;
use crate::oracle::lives::took;
use crate::rows::Rows;
use crate::scheduler::Scheduler;

pub(super) fn before(event: &Event, running: &Running, rows: &Rows, scheduler: &mut Scheduler) {
    let Event::Input(input) = event else { return };
    let core = running.core();
    match input {
        Input::Request(request) => {
            let status = status_of(&request.gid, core, rows);
            let kind = match &request.ask {
                Ask::Begin { spec, .. } => match (status, fingerprint_of(&request.gid, core, rows))
                {
                    (None, _) => Kind::Begin,
                    (Some(_), Some(known)) if known == spec.fingerprint => Kind::Repeat,
                    (Some(_), _) => Kind::OtherContent,
                },
                Ask::Register(_) => Kind::Register,
                Ask::RegisterAtOnce(_) => {
                    scheduler.saw(Sometimes::RegisteredAtOnce);
                    Kind::Register
                }
                Ask::Confirm => Kind::Confirm,
                Ask::Cancel { .. } => Kind::Cancel,
                Ask::DecideHeld(held) if held.op == Op::Confirm => Kind::Confirm,
                Ask::DecideHeld(_) => Kind::Cancel,
                Ask::Retry { .. } => Kind::Retry,
                // Nobody here begins jobs.
                Ask::Resolve(_) | Ask::OfJob(_) => Kind::Resolve,
                Ask::Readdress(_) => Kind::Readdress,
                Ask::Read => Kind::Read,
            };
            scheduler.saw(Point::Asked(status, kind));
        }
        Input::Answered(ticket, answer) => {
            let Some(transaction) = core.engine().transaction(&ticket.gid) else { return };
            let Some(branch) = transaction.branch(&ticket.branch) else { return };
            let current = ticket.epoch.0 == running.life
                && *branch.call_state()
                    == CallState::InFlight { op: ticket.op, attempt: ticket.attempt };
            let verdict = verdict(ticket.op, answer);
            let place = if current { Place::from(branch.state()) } else { Place::Late };
            scheduler.saw(Point::Answered(place, ticket.op, Meaning::from(verdict)));
            let acknowledges = transaction.decision().map(|it| it.op()) == Some(ticket.op);
            let waits = !matches!(branch.state(), BranchState::Done { .. });
            if place == Place::Late && verdict == Verdict::Done && acknowledges && waits {
                scheduler.saw(Sometimes::LateAcknowledgement);
            }
        }
        Input::NotSent(ticket, _) => {
            if let Some(transaction) = core.engine().transaction(&ticket.gid) {
                scheduler.saw(Point::NotSent(transaction.status()));
            }
        }
        Input::Adopt(stored) => match stored.status {
            Status::Trying => scheduler.saw(Sometimes::TookUpTrying),
            Status::Confirming => scheduler.saw(Sometimes::TookUpConfirming),
            Status::Cancelling => scheduler.saw(Sometimes::TookUpCancelling),
            Status::Confirmed | Status::Cancelled => {}
        },
        Input::Tick => {
            for (status, _) in core.census().by_status {
                scheduler.saw(Point::Timer(status));
            }
        }
        Input::Loaded(gid, Load::Found(stored)) => {
            if running.is_arriving(gid) {
                scheduler.saw_if_any(took(stored.status));
                let rests = core.engine().census().paged_out;
                scheduler.note(|| format!("    {gid} arrives, {rests} rest"));
            }
        }
        Input::Loaded(gid, Load::Elsewhere(_) | Load::Nothing) => {
            if running.is_arriving(gid) {
                scheduler.saw(Together::ReadAgain);
            }
        }
        Input::Exists(_) => scheduler.saw(Together::WentBackToLoad),
        Input::Loaded(..)
        | Input::PageOfGids(_)
        | Input::CapacityFreed(_)
        | Input::Durable(_)
        | Input::TakingOver { .. }
        | Input::TakenOver(_)
        | Input::Quarantined(_)
        | Input::HungUp(..)
        | Input::Release
        | Input::NobodyWaitsBeyond(_)
        | Input::Paused(_) => {}
    }
}

/// Where a transaction stands, in memory or, if it is not there, in the journal.
fn status_of(gid: &Gid, core: &Core, rows: &Rows) -> Option<Status> {
    let live = core.engine().transaction(gid).map(|transaction| transaction.status());
    live.or_else(|| rows.get(gid).map(|stored| stored.status))
}

fn fingerprint_of(gid: &Gid, core: &Core, rows: &Rows) -> Option<tercet_wire::Fingerprint> {
    let live = core.engine().transaction(gid);
    let live = live.map(|transaction| transaction.spec().fingerprint.clone());
    live.or_else(|| rows.get(gid).map(|stored| stored.spec.fingerprint.clone()))
}
