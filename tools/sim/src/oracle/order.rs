//! The order of a saga's steps, worked out here from what was registered: who names whom, or stands
//! after whom. A Try comes after those of all before it, a Confirm after theirs, and a Cancel after
//! those of all that come after; each once that is durable.

use std::collections::BTreeSet;

use tercet_engine::{BranchRecord, Call, HistoryEvent, StoredTransaction};
use tercet_wire::{BranchId, BranchSpec, BranchStatus, EventKind, Op, Pattern};

use crate::coverage::Sometimes;
use crate::scheduler::Scheduler;

/// Those that come before a branch, all the way back.
pub(super) fn before<'a>(branches: &[&'a BranchSpec], of: &'a BranchId) -> BTreeSet<&'a BranchId> {
    let mut found = BTreeSet::new();
    let mut to_look_at = vec![of];
    while let Some(id) = to_look_at.pop() {
        let Some(place) = branches.iter().position(|branch| branch.id == *id) else { continue };
        let names: Vec<&BranchId> = match branches[place].after() {
            Some(names) => names.iter().collect(),
            None => place.checked_sub(1).map(|place| &branches[place].id).into_iter().collect(),
        };
        to_look_at.extend(names.into_iter().filter(|name| found.insert(*name)));
    }
    found
}

/// Those that come after it, all the way on.
pub(super) fn after<'a>(branches: &[&'a BranchSpec], of: &'a BranchId) -> BTreeSet<&'a BranchId> {
    let comes_after = |branch: &&&'a BranchSpec| before(branches, &branch.id).contains(of);
    branches.iter().filter(comes_after).map(|branch| &branch.id).collect()
}

/// A call of a saga: in its turn, and told by the history before it leaves.
pub(super) fn called(call: &Call, stored: Option<&StoredTransaction>, scheduler: &mut Scheduler) {
    let Some(stored) = stored.filter(|stored| stored.spec.pattern == Pattern::Saga) else { return };
    let (ticket, gid) = (&call.ticket, &call.ticket.gid);
    let (branch, op) = (&ticket.branch, ticket.op);
    let specs: Vec<&BranchSpec> = stored.branches.iter().map(|branch| &**branch).collect();
    let row = |id: &BranchId| stored.branch_records.iter().find(|row| row.branch == *id);
    let awaited = match op {
        Op::Try | Op::Confirm => before(&specs, branch),
        Op::Cancel => after(&specs, branch),
    };
    let too_early =
        specs.iter().find(|it| awaited.contains(&it.id) && !is_done(it, op, row(&it.id)));
    if let Some(first) = too_early {
        scheduler.broke(format!("{gid}/{branch}: {op} left before {} was done with it", first.id));
    }
    // Skipped goes before the decision that it follows from: without that it says nothing.
    let was_skipped = row(branch).is_some_and(|row| row.status == BranchStatus::Skipped);
    if was_skipped && stored.decided.is_some() {
        scheduler.broke(format!("{gid}/{branch}: {op} left, and it was skipped"));
    }
    if !tells(stored, EventKind::StepCalled, branch, op) {
        scheduler.broke(format!("{gid}/{branch}: {op} left, and the history does not say so"));
    }
    scheduler.saw(Sometimes::StepTold);
}

/// Whether a branch is done with a leg, as far as its row says. What has no such leg is done when its
/// turn comes, and its turn has come if it is that of one behind it.
fn is_done(branch: &BranchSpec, op: Op, row: Option<&BranchRecord>) -> bool {
    if branch.url(op).is_none() {
        return true;
    }
    row.is_some_and(|row| match op {
        Op::Try => row.status == BranchStatus::Tried,
        Op::Confirm | Op::Cancel => {
            row.acknowledged_at.is_some() || row.status == BranchStatus::Skipped
        }
    })
}

/// The lines of the history that say this of a leg.
fn lines<'a>(
    stored: &'a StoredTransaction,
    kind: EventKind,
    branch: &'a BranchId,
    op: Op,
) -> impl Iterator<Item = &'a HistoryEvent> {
    stored.history.iter().filter(move |line| {
        line.kind == kind && line.branch.as_ref() == Some(branch) && line.op == Some(op.into())
    })
}

fn tells(stored: &StoredTransaction, kind: EventKind, branch: &BranchId, op: Op) -> bool {
    lines(stored, kind, branch, op).next().is_some()
}

/// At rest: what was done in answer to a call the history says, each after what came first; and it
/// says nothing of what was skipped.
pub(super) fn history(stored: &StoredTransaction, scheduler: &mut Scheduler) {
    let gid = &stored.spec.gid;
    let numbers: Vec<u32> = stored.history.iter().map(|line| line.number).collect();
    if !numbers.windows(2).all(|two| two[0] + 1 == two[1]) {
        scheduler.broke(format!("{gid}: its history is numbered {numbers:?}"));
    }
    if stored.spec.pattern != Pattern::Saga {
        return;
    }
    let Some(op) = stored.decision().map(|decision| decision.op()) else { return };
    for branch in &stored.branches {
        let row = stored.branch_records.iter().find(|row| row.branch == branch.id);
        let is_skipped = row.is_some_and(|row| row.status == BranchStatus::Skipped);
        let by_hand = row.is_some_and(|row| row.resolved_as.is_some());
        let id = &branch.id;
        // A life that has not heard of the one before it tells it anew.
        let told = Op::ALL.iter().map(|op| lines(stored, EventKind::StepCalled, id, *op).count());
        if told.max().is_some_and(|times| times > scheduler.lives()) {
            scheduler.broke(format!("{gid}/{id}: its history has a leg called first again"));
        }
        if is_skipped {
            if Op::ALL.iter().any(|op| tells(stored, EventKind::StepCalled, id, *op)) {
                scheduler.broke(format!("{gid}/{id}: skipped, and its history has it called"));
            }
        } else if branch.url(op).is_some()
            && !by_hand
            && !tells(stored, EventKind::StepDone, id, op)
        {
            scheduler.broke(format!("{gid}/{id}: {op} is done, and its history does not say so"));
        }
    }
}
