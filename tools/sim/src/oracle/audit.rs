//! What operators do has its row in the commit that shows it, whatever comes between: seen from what
//! becomes durable alone.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{Acted, Change, Submitted, TransactionKey};
use tercet_wire::{ActId, Action, BranchId, EventKind};

use crate::coverage::Sometimes;
use crate::rows::{Changed, Committed};
use crate::scheduler::Scheduler;

/// The rows of the audit so far.
#[derive(Debug, Default)]
pub(crate) struct AuditSeen {
    ids: BTreeSet<ActId>,
    resolved: BTreeSet<(TransactionKey, BranchId)>,
    retried: BTreeMap<TransactionKey, usize>,
}

impl AuditSeen {
    /// A submission has happened.
    pub(super) fn committed(
        &mut self,
        submitted: &Submitted,
        committed: &Committed,
        scheduler: &mut Scheduler,
    ) {
        let Submitted::Batch(batch) = submitted else { return };
        if committed.happened {
            return;
        }
        for record in &batch.records {
            let of = TransactionKey::of(record);
            if let Change::Acted(acted) = &record.change
                && !committed.taken.contains(&of)
            {
                self.written(of, acted, scheduler);
            }
        }
        committed.changed.iter().for_each(|changed| self.shown(changed, scheduler));
    }

    fn written(&mut self, of: TransactionKey, acted: &Acted, scheduler: &mut Scheduler) {
        let Acted { act, changes } = acted;
        if !self.ids.insert(act.id) {
            scheduler.broke(format!("{}: an act has two rows", of.gid));
        }
        match (act.action, &act.branch) {
            // Nothing is held here.
            (Action::ConfirmHeld | Action::CancelHeld, _) => {
                scheduler.broke(format!("{}: a decision despite a hold", of.gid));
            }
            (Action::Retry, _) => *self.retried.entry(of).or_default() += 1,
            (Action::Resolve, Some(branch)) => {
                let is_word = |change: &Change| match change {
                    Change::BranchRecord(row) => {
                        let said = row.pending_resolution.is_some() || row.resolved_as.is_some();
                        said && row.branch == *branch
                    }
                    _ => false,
                };
                if !changes.iter().any(is_word) {
                    scheduler.broke(format!("{}/{branch}: an act that did nothing", of.gid));
                }
                self.resolved.insert((of, branch.clone()));
            }
            (Action::Readdress, Some(branch)) => {
                let is_it = |change: &Change| match change {
                    Change::Readdressed(readdressed) => readdressed.id == *branch,
                    _ => false,
                };
                if !changes.iter().any(is_it) {
                    scheduler.broke(format!("{}/{branch}: called where it was", of.gid));
                }
                scheduler.saw(Sometimes::Readdressed);
            }
            (Action::Resolve | Action::Readdress, None)
            | (
                Action::RetryAll
                | Action::SagaPut
                | Action::SagaRetire
                | Action::Pause
                | Action::Resume
                | Action::JobBegin
                | Action::JobStop
                | Action::Release,
                _,
            ) => {
                scheduler.broke(format!("{}: {act:?} is of no transaction", of.gid));
            }
        }
    }

    /// Whatever shows an operator's hand has its row by now.
    fn shown(&self, changed: &Changed, scheduler: &mut Scheduler) {
        let after = &changed.after;
        let of = TransactionKey { gid: after.spec.gid.clone(), instance: after.spec.instance };
        for row in &after.branch_records {
            let by_hand = row.pending_resolution.is_some() || row.resolved_as.is_some();
            if by_hand && !self.resolved.contains(&(of.clone(), row.branch.clone())) {
                scheduler.broke(format!("{}/{}: resolved, and no row of it", of.gid, row.branch));
            }
        }
        let lines = after.history.iter().filter(|line| line.kind == EventKind::Retried).count();
        if lines > self.retried.get(&of).copied().unwrap_or_default() {
            scheduler.broke(format!("{}: retried, and no row of it", of.gid));
        }
    }
}
