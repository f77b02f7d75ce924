//! What follows from what is known: the decision, the calls, the end. The same function
//! after every request, every answer, every timer and every restart.

use std::sync::Arc;

use tercet_wire::{Mono, Op, Reason};

use crate::record::{Change, Decided, Decision};
use crate::transaction::branch::{BranchState, CallState, FailureStats};
use crate::transaction::step::Wanted;
use crate::transaction::{Phase, Rules, Step, Transaction};

impl Transaction {
    /// Draws every conclusion that is due.
    pub(crate) fn advance(&mut self, step: &mut Step<'_>) {
        self.expire_waits(step);
        if let Some(decision) = self.due_decision(step) {
            self.decide(decision, step);
        }
        self.resolve_what_is_free(step);
        self.finish_if_everyone_acknowledged(step);
        self.write_acknowledgements_that_wait_alone(step);
        self.write_parked_if_untold(step);
        self.call_what_is_due(step);
    }

    /// When `advance` has something to do although nothing comes in.
    pub(crate) fn next_due(&self, rules: &Rules) -> Option<Mono> {
        let deadline = match &self.phase {
            Phase::Trying { deadline } => Some(*deadline),
            Phase::SecondPhase(_) => None,
            Phase::Finished { .. } => return None,
        };
        let calls = self.branches.iter().filter_map(|branch| match branch.call_state {
            CallState::Due(at) => Some(at),
            CallState::Idle | CallState::Waiting { .. } | CallState::InFlight { .. } => None,
        });
        let waits = self.waits_expire_at(rules);
        let lone_acks = self.branches.iter().filter_map(|branch| match branch.state {
            BranchState::Done { unwritten_since, .. } => {
                unwritten_since.map(|since| since.after(rules.ack_flush_after))
            }
            BranchState::Registered | BranchState::Tried | BranchState::Refused => None,
        });
        deadline.into_iter().chain(calls).chain(waits).chain(lone_acks).min()
    }

    /// The decision that what is known calls for, if none has been taken.
    fn due_decision(&self, step: &Step<'_>) -> Option<Decision> {
        let deadline = match &self.phase {
            Phase::Trying { deadline } => *deadline,
            Phase::SecondPhase(_) | Phase::Finished { .. } => return None,
        };
        let refused = self.branches.iter().find(|branch| branch.state == BranchState::Refused);
        if let Some(branch) = refused {
            return Some(cancel(Reason::TryRefused, branch.id(), branch.last_error.as_deref()));
        }
        let used_up = self.branches.iter().find(|branch| {
            branch.is_try_outstanding() && branch.failure_stats.failures >= step.rules.try_attempts
        });
        if let Some(branch) = used_up {
            return Some(cancel(Reason::TryFailed, branch.id(), branch.last_error.as_deref()));
        }
        // Confirm before the deadline: what is fully reserved has no reason to be dropped.
        if !self.spec.open && !self.branches.iter().any(super::Branch::is_try_outstanding) {
            return Some(Decision::Confirm);
        }
        let late = step.now.mono >= deadline;
        late.then_some(Decision::Cancel { reason: Reason::Deadline, detail: None })
    }

    /// Takes the decision. The only way out of `Trying`.
    pub(super) fn decide(&mut self, decision: Decision, step: &mut Step<'_>) {
        let decided = Decided { at: step.now.wall, decision };
        for branch in &mut self.branches {
            branch.failure_stats = FailureStats::default();
            branch.call_state = match branch.spec.url(decided.decision.op()) {
                Some(_) => CallState::Due(step.now.mono),
                None => CallState::Idle,
            };
        }
        self.phase = Phase::SecondPhase(decided.clone());
        // What led to the decision goes before it: if a crash comes between the two, the
        // decision follows from the rows again.
        for position in 0..self.branches.len() {
            self.write_row_if_untold(position, step);
        }
        step.changes.push(Change::Decided(decided));
        self.acknowledge_absent_legs(step);
    }

    /// A leg without a URL is done at once.
    pub(super) fn acknowledge_absent_legs(&mut self, step: &Step<'_>) {
        let op = match &self.phase {
            Phase::SecondPhase(decided) => decided.decision.op(),
            Phase::Trying { .. } | Phase::Finished { .. } => return,
        };
        for branch in &mut self.branches {
            if branch.spec.url(op).is_none() && !branch.is_done() {
                let unwritten_since = Some(step.now.mono);
                branch.state = BranchState::Done { at: step.now.wall, unwritten_since };
            }
        }
    }

    fn finish_if_everyone_acknowledged(&mut self, step: &mut Step<'_>) {
        let decided = match &self.phase {
            Phase::SecondPhase(decided) => decided.clone(),
            Phase::Trying { .. } | Phase::Finished { .. } => return,
        };
        if !self.branches.iter().all(super::Branch::is_done) {
            return;
        }
        let (at, status) = (step.now.wall, decided.decision.finished_status());
        for branch in &mut self.branches {
            branch.parked = false;
        }
        self.phase = Phase::Finished { decided, at };
        for position in 0..self.branches.len() {
            self.write_final_row(position, step);
        }
        if std::mem::take(&mut self.parked_row) {
            step.completion.push(Change::Parked(false));
        }
        step.completion.push(Change::Finished { status, at });
    }

    /// So that a crash long before the last acknowledgement does not forget the first ones.
    fn write_acknowledgements_that_wait_alone(&mut self, step: &mut Step<'_>) {
        match &self.phase {
            Phase::SecondPhase(_) => {}
            Phase::Trying { .. } | Phase::Finished { .. } => return,
        }
        for branch in &mut self.branches {
            let BranchState::Done { unwritten_since, .. } = &mut branch.state else { continue };
            let waited = unwritten_since.map(|since| step.now.mono.since(since));
            if waited.is_some_and(|waited| waited >= step.rules.ack_flush_after) {
                *unwritten_since = None;
                branch.parked = false;
                branch.write_row_into(step);
            }
        }
    }

    fn call_what_is_due(&mut self, step: &mut Step<'_>) {
        let decision = self.decision().cloned();
        for (position, branch) in self.branches.iter_mut().enumerate() {
            let due = matches!(branch.call_state, CallState::Due(at) if at <= step.now.mono);
            if !due {
                continue;
            }
            let Some(op) = branch.needs(decision.as_ref()) else {
                branch.call_state = CallState::Idle;
                continue;
            };
            let attempts = branch.attempts.get_mut(op);
            *attempts = attempts.saturating_add(1);
            let attempt = *attempts;
            branch.call_state = CallState::InFlight { op, attempt };
            step.calls.push(Wanted { branch: position, op, attempt });
        }
    }

    /// When the transaction gives up on an unanswered Try, for those it calls.
    pub(crate) fn deadline_for(&self, op: Op) -> Option<tercet_wire::Wall> {
        (op == Op::Try).then_some(self.spec.deadline_at)
    }
}

fn cancel(reason: Reason, branch: &tercet_wire::BranchId, why: Option<&str>) -> Decision {
    let detail = format!("{branch}: {}", why.unwrap_or("no answer"));
    Decision::Cancel { reason, detail: Some(Arc::from(detail)) }
}
