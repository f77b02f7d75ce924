//! What must be so once all faults have ended and the world has come to rest.

use tercet_engine::{Decision, Stored};
use tercet_wire::{BranchSpec, Op};

use crate::content::{quantity_of, service_of};
use crate::journal::Rows;
use crate::node::Running;
use crate::service::Service;
use crate::stage::Stage;

/// Everything is finished, everybody did the same, nothing is reserved, nothing is remembered.
pub(crate) fn at_rest(running: &Running, rows: &Rows, services: &[Service], stage: &mut Stage) {
    for stored in rows.all() {
        finished(stored, services, stage);
    }
    for service in services {
        let (reserved, by_hand) = (service.business.reserved(), left_by_hand(service, rows));
        if reserved != by_hand {
            stage.broke(format!("service {} keeps {reserved} reserved", service.number));
        }
        if !service.is_idle() {
            stage.broke(format!("service {} still runs something", service.number));
        }
    }
    let census = running.ring.census();
    if let Some((status, (count, _))) = census.by_status.first_key_value() {
        stage.broke(format!("{count} transactions are still in memory, {status}"));
    }
    if running.ring.held_effects() > 0 {
        stage.broke("effects are still held");
    }
    if running.ring.next_deadline().is_some() {
        stage.broke("a timer is still set");
    }
}

fn finished(stored: &Stored, services: &[Service], stage: &mut Stage) {
    let (gid, instance) = (&stored.spec.gid, stored.spec.instance);
    if !stored.status.is_finished() {
        return stage.broke(format!("{gid} is still {}", stored.status));
    }
    let Some(op) = stored.decision().map(Decision::op) else { return };
    for branch in &stored.branches {
        let Some(service) = services.get(service_of(branch)) else { continue };
        let done = service.business.done(instance, &branch.id);
        if is_resolved(stored, branch) {
            continue;
        }
        let right = match op {
            Op::Confirm => {
                let confirmed = u32::from(branch.url(Op::Confirm).is_some());
                done.confirmed == confirmed && done.cancelled == 0
            }
            Op::Try | Op::Cancel => done.confirmed == 0 && done.cancelled == done.tried,
        };
        if !right {
            stage.broke(format!("{gid} is {}, but {}: {done:?}", stored.status, branch.id));
        }
    }
    if stored.parked {
        stage.broke(format!("{gid} is finished and still shown as parked"));
    }
}

/// What operators have taken upon themselves: reservations that nobody was told about.
fn left_by_hand(service: &Service, rows: &Rows) -> i64 {
    let mut left = 0;
    for stored in rows.all() {
        let here = stored.branches.iter().filter(|branch| service_of(branch) == service.number);
        for branch in here.filter(|branch| is_resolved(stored, branch)) {
            let done = service.business.done(stored.spec.instance, &branch.id);
            let open = done.tried > done.confirmed + done.cancelled;
            if open && branch.url(Op::Confirm).is_some() {
                left += quantity_of(branch);
            }
        }
    }
    left
}

fn is_resolved(stored: &Stored, branch: &BranchSpec) -> bool {
    let mut of_branch = stored.outcomes.iter().filter(|outcome| outcome.branch == branch.id);
    of_branch.any(|outcome| outcome.resolved_as.is_some())
}
