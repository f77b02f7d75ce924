//! Which branches are shown to people, since they do not get on by themselves.
//!
//! That is a promise about time: whoever has not had the answer it needs for so long is shown,
//! whether its calls fail, hang, wait for room or wait behind an open breaker.

use std::sync::Arc;

use tercet_wire::{EventKind, Mono, Op};

use crate::transaction::branch::CallState;
use crate::transaction::history::Line;
use crate::transaction::step::ParkedNow;
use crate::transaction::{Phase, Rules, Step, Transaction, branch_at};

/// Why a branch is shown to people, the lesser first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Doubt {
    /// It has not had the answer it needs for too long.
    Late,
    /// What its participant answers says that calling it again is of no use.
    Hopeless,
}

impl Transaction {
    /// The call that is waited for now, if whoever goes without it is shown to people.
    pub(super) fn op_that_parks(&self) -> Option<Op> {
        let op = match &self.phase {
            Phase::Trying { .. } => Op::Try,
            Phase::SecondPhase(decided) => decided.decision.op(),
            Phase::Finished { .. } => return None,
        };
        self.parks(op).then_some(op)
    }

    /// The time of a branch begins with its turn, and not before its Confirm may be called: nobody
    /// waits for what may not be called yet, or for whom nobody calls.
    pub(crate) fn start_the_clocks(&mut self, now: Mono, rules: &Rules) {
        // Nobody may have been there to see that it was resumed.
        if let Some(initiator) = self.initiator.as_deref_mut()
            && !initiator.spec.url(Op::Try).is_some_and(|url| rules.paused.holds(url))
        {
            initiator.failure_stats.since.get_or_insert(now);
        }
        if self.op_that_parks().is_none() {
            return;
        }
        let (decision, turn) = (self.decision().cloned(), self.turn());
        for (position, branch) in self.branches.iter_mut().enumerate() {
            let is_held = matches!(branch.call_state, CallState::Held(until) if until > now);
            if branch.failure_stats.since.is_none()
                && !is_held
                && turn.includes(position)
                && let Some(op) = branch.needs(decision.as_ref())
                && !branch.spec.url(op).is_some_and(|url| rules.paused.holds(url))
            {
                branch.failure_stats.since = Some(now);
            }
        }
    }

    /// Shows to people what has been without its answer for too long.
    pub(super) fn park_what_waits_too_long(&mut self, step: &mut Step<'_>) {
        self.park_initiator_if_late(step);
        let Some(op) = self.op_that_parks() else { return };
        for position in 0..self.branches.len() {
            let branch = branch_at(&mut self.branches, position);
            if branch.parks_at(step.rules.park_after).is_some_and(|at| at <= step.now.mono) {
                self.park(position, op, Doubt::Late, step);
            }
        }
    }

    /// Shows a branch to people, and tells them, unless both has happened. That it is late may have
    /// been told as its participant's outage, so that it is hopeless is told beside that.
    pub(super) fn park(&mut self, position: usize, op: Op, doubt: Doubt, step: &mut Step<'_>) {
        let branch = branch_at(&mut self.branches, position);
        if branch.told_parked >= Some(doubt) || Self::is_paused(branch, op, step) {
            return;
        }
        branch.told_parked = Some(doubt);
        let attempts = *branch.attempts.get(op);
        let spec = Arc::clone(&branch.spec);
        step.parked.push(ParkedNow { branch: spec, op, attempts, doubt, asks: false });
        if std::mem::replace(&mut branch.parked, true) {
            // So it was found at a start, or it was late before.
            return;
        }
        let waited = step.now.mono.since(branch.failure_stats.since.unwrap_or(step.now.mono));
        let detail = branch
            .last_error
            .clone()
            .unwrap_or_else(|| Arc::from(format!("no answer for {} ms", waited.as_millis())));
        let (kind, id) = (EventKind::Parked, &branch.spec.id);
        let line = Line { kind, branch: id, op, attempt: attempts, detail: &detail };
        step.happened(&mut self.history, line);
        branch.write_row_into(step);
        self.write_parked_if_untold(step);
    }
}
