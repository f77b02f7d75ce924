//! What must be so once all faults have ended and the world has come to rest.

use tercet_engine::{Backlog, Decision, StoredTransaction};
use tercet_wire::{BranchSpec, Op};

use crate::content::{quantity_of, service_of};
use crate::node::Running;
use crate::oracle::order;
use crate::rows::Rows;
use crate::scheduler::Scheduler;
use crate::service::Service;

/// Everything is finished, everybody did the same, nothing is reserved, nothing is remembered.
pub(crate) fn at_rest(
    running: &Running,
    rows: &Rows,
    services: &[Service],
    scheduler: &mut Scheduler,
) {
    for stored in rows.all() {
        finished(stored, services, scheduler);
        order::history(stored, scheduler);
    }
    for service in services {
        let (reserved, by_hand) = (service.business.reserved(), left_by_hand(service, rows));
        if reserved != by_hand {
            scheduler.broke(format!("service {} keeps {reserved} reserved", service.number));
        }
        if !service.is_idle() {
            scheduler.broke(format!("service {} still runs something", service.number));
        }
    }
    let census = running.core().census();
    if let Some((status, (count, _))) = census.by_status.first_key_value() {
        scheduler.broke(format!("{count} transactions are still in memory, {status}"));
    }
    if running.unwritten != Backlog::default() {
        scheduler.broke(format!("{:?} count as unwritten", running.unwritten));
    }
    if running.core().held_effects() > 0 {
        scheduler.broke("effects are still held");
    }
    if running.core().next_deadline().is_some() {
        scheduler.broke("a timer is still set");
    }
}

fn finished(stored: &StoredTransaction, services: &[Service], scheduler: &mut Scheduler) {
    let (gid, instance) = (&stored.spec.gid, stored.spec.instance);
    if !stored.status.is_finished() {
        return scheduler.broke(format!("{gid} is still {}", stored.status));
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
            scheduler.broke(format!("{gid} is {}, but {}: {done:?}", stored.status, branch.id));
        }
    }
    if stored.parked {
        scheduler.broke(format!("{gid} is finished and still shown as parked"));
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

fn is_resolved(stored: &StoredTransaction, branch: &BranchSpec) -> bool {
    let mut of_branch = stored.branch_records.iter().filter(|outcome| outcome.branch == branch.id);
    of_branch.any(|outcome| outcome.resolved_as.is_some())
}
