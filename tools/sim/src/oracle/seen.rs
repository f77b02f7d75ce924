//! Which points of the list an event reaches.

use tercet_engine::{Ask, Calling, Event, Input, Ring, Standing};
use tercet_wire::{Gid, Status, Verdict, verdict};

use crate::coverage::{Kind, Meaning, Place, Point, Sometimes};
use crate::journal::Rows;
use crate::node::Running;
use crate::stage::Stage;

pub(super) fn before(event: &Event, running: &Running, rows: &Rows, stage: &mut Stage) {
    let Event::Input(input) = event else { return };
    let ring = &running.ring;
    match input {
        Input::Request(request) => {
            let status = status_of(&request.gid, ring, rows);
            let kind = match &request.ask {
                Ask::Begin { spec, .. } => match (status, fingerprint_of(&request.gid, ring, rows))
                {
                    (None, _) => Kind::Begin,
                    (Some(_), Some(known)) if known == spec.fingerprint => Kind::Repeat,
                    (Some(_), _) => Kind::OtherContent,
                },
                Ask::Register(_) => Kind::Register,
                Ask::Confirm => Kind::Confirm,
                Ask::Cancel { .. } => Kind::Cancel,
                Ask::Retry { .. } => Kind::Retry,
                Ask::Resolve(_) => Kind::Resolve,
                Ask::Read => Kind::Read,
            };
            stage.saw(Point::Asked(status, kind));
        }
        Input::Answered(ticket, answer) => {
            let Some(transaction) = ring.engine().transaction(&ticket.gid) else { return };
            let Some(branch) = transaction.branch(&ticket.branch) else { return };
            let current = ticket.epoch.0 == running.life
                && *branch.calling()
                    == Calling::InFlight { op: ticket.op, attempt: ticket.attempt };
            let verdict = verdict(ticket.op, answer);
            let place = if current { Place::from(branch.standing()) } else { Place::Late };
            stage.saw(Point::Answered(place, ticket.op, Meaning::from(verdict)));
            let acknowledges = transaction.decision().map(|it| it.op()) == Some(ticket.op);
            let waits = !matches!(branch.standing(), Standing::Done { .. });
            if place == Place::Late && verdict == Verdict::Done && acknowledges && waits {
                stage.saw(Sometimes::LateAcknowledgement);
            }
        }
        Input::NotSent(ticket, _) => {
            if let Some(transaction) = ring.engine().transaction(&ticket.gid) {
                stage.saw(Point::NotSent(transaction.status()));
            }
        }
        Input::Adopt(stored) => match stored.status {
            Status::Trying => stage.saw(Sometimes::TookUpTrying),
            Status::Confirming => stage.saw(Sometimes::TookUpConfirming),
            Status::Cancelling => stage.saw(Sometimes::TookUpCancelling),
            Status::Confirmed | Status::Cancelled => {}
        },
        Input::Tick => {
            for (status, _) in ring.census().by_status {
                stage.saw(Point::Timer(status));
            }
        }
        Input::Loaded(..)
        | Input::Swept(_)
        | Input::Vacant(_)
        | Input::Durable(_)
        | Input::Exists(_)
        | Input::SetAside(_)
        | Input::NobodyWaitsBeyond(_) => {}
    }
}

/// Where a transaction stands, in memory or, if it is not there, in the journal.
fn status_of(gid: &Gid, ring: &Ring, rows: &Rows) -> Option<Status> {
    let live = ring.engine().transaction(gid).map(|transaction| transaction.status());
    live.or_else(|| rows.get(gid).map(|stored| stored.status))
}

fn fingerprint_of(gid: &Gid, ring: &Ring, rows: &Rows) -> Option<tercet_wire::Fingerprint> {
    let live = ring.engine().transaction(gid);
    let live = live.map(|transaction| transaction.spec().fingerprint.clone());
    live.or_else(|| rows.get(gid).map(|stored| stored.spec.fingerprint.clone()))
}
