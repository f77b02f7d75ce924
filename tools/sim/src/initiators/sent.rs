//! What must be so of messages: exactly what was committed is handed over, and a mark says nothing
//! that is not so.

use tercet_engine::Decision;
use tercet_participant::OutboxState;
use tercet_participant::relay_rules::Next;
use tercet_wire::{Gid, Op, Status};

use crate::coverage::Sent;
use crate::initiators::Initiators;
use crate::rows::{Changed, Rows};
use crate::scheduler::Scheduler;

/// A relay has marked a message.
pub(super) fn marked(
    gid: &Gid,
    from: OutboxState,
    next: &Next,
    rows: &Rows,
    scheduler: &mut Scheduler,
) {
    let stored = rows.get(gid);
    let decided = stored.and_then(|stored| stored.decision()).map(Decision::op);
    scheduler.note(|| format!("    message {gid}: {from}, now {}", next.state));
    let is_so = match next.state {
        OutboxState::Pending => true,
        OutboxState::Sent => stored.is_some(),
        OutboxState::Confirmed => decided == Some(Op::Confirm),
        OutboxState::Cancelled => decided == Some(Op::Cancel),
        // No coordinator here forgets what it has, or refuses what it was given.
        OutboxState::Dead => false,
    };
    if !is_so {
        let reason = next.reason.as_deref().unwrap_or("no reason");
        scheduler.broke(format!("message {gid} is marked {}: {reason}", next.state));
    }
    match (from, next.state) {
        (OutboxState::Pending, OutboxState::Sent) => scheduler.saw(Sent::HandedOver),
        (_, OutboxState::Confirmed) => scheduler.saw(Sent::Confirmed),
        (_, OutboxState::Cancelled) => scheduler.saw(Sent::Cancelled),
        (OutboxState::Sent, OutboxState::Sent) => scheduler.saw(Sent::Followed),
        (_, OutboxState::Pending | OutboxState::Sent | OutboxState::Dead) => {}
    }
}

/// A batch changed a transaction's rows: was it begun although it was not sent?
pub(crate) fn begun(changed: &Changed, initiators: &Initiators, scheduler: &mut Scheduler) {
    let gid = &changed.after.spec.gid;
    if changed.before.is_none() && initiators.outbox.is_unsent(gid) {
        scheduler.broke(format!("message {gid} was handed over before it was committed"));
    }
}

/// At rest every message that was committed has ended as its transaction has, and no other is known.
pub(crate) fn at_rest(initiators: &Initiators, rows: &Rows, scheduler: &mut Scheduler) {
    for (gid, row) in initiators.outbox.rows() {
        let ended = rows.get(gid).map(|stored| stored.status);
        let is_so = match ended {
            Some(Status::Confirmed) => row.state == OutboxState::Confirmed,
            Some(Status::Cancelled) => row.state == OutboxState::Cancelled,
            Some(Status::Trying | Status::Confirming | Status::Cancelling) | None => false,
        };
        if !is_so {
            scheduler.broke(format!("message {gid} is {}, its transaction {ended:?}", row.state));
        }
    }
    for stored in rows.all() {
        if initiators.outbox.is_unsent(&stored.spec.gid) {
            scheduler
                .broke(format!("message {} was handed over, and rolled back", stored.spec.gid));
        }
    }
}
