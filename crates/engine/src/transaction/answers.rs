//! What participants' answers mean for a transaction.

use std::sync::Arc;

use tercet_wire::{Answer, EventKind, FailureKind, Op, Verdict, verdict};

use crate::record::TryAnswer;
use crate::transaction::branch::{Branch, BranchState, CallState};
use crate::transaction::history::Line;
use crate::transaction::step::ParkedNow;
use crate::transaction::{Phase, Step, Transaction, branch_at};

impl Transaction {
    /// The call under way was answered.
    pub(crate) fn answered(
        &mut self,
        position: usize,
        op: Op,
        answer: &Answer,
        step: &mut Step<'_>,
    ) {
        let branch = branch_at(&mut self.branches, position);
        let attempt = *branch.attempts.get(op);
        (branch.failure_stats.no_room, branch.failure_stats.no_room_since) = (0, None);
        match verdict(op, answer) {
            Verdict::Done => match op {
                // An initiator is told of each Try and builds on it, and so does the next stage:
                // it must survive a crash. Elsewhere the Try would only be asked again.
                Op::Try => tried(branch, self.spec.open || self.has_stages, step),
                Op::Confirm | Op::Cancel => acknowledged(branch, self.has_stages, step),
            },
            Verdict::Refused => {
                branch.state = BranchState::Refused;
                branch.call_state = CallState::Idle;
                branch.last_error = Some(Arc::from(answer.summary()));
                branch.answer = Some(try_answer(answer));
                let kind = EventKind::TryRefused;
                let detail = &answer.summary();
                let line = Line { kind, branch: &branch.spec.id, op, attempt, detail };
                step.happened(&mut self.history, line);
            }
            Verdict::InProgress(pause) => {
                branch.failure_stats.permanent_in_a_row = 0;
                branch.failure_stats.since.get_or_insert(step.now.mono);
                branch.failure_stats.pause_asked = true;
                branch.call_state = CallState::Due(step.now.mono.after(pause));
                if op != Op::Try {
                    self.park_if_stuck(position, op, FailureKind::Transient, step);
                }
            }
            Verdict::Again { failure, pause } => {
                let summary = answer.summary();
                branch.failed(failure, &summary, step.now.mono);
                if op == Op::Try {
                    branch.answer = Some(try_answer(answer));
                }
                branch.failure_stats.pause_asked = pause.is_some();
                let entropy = step.entropy(position);
                let pause = step.rules.backoff.pause(branch.failure_stats.failures, entropy, pause);
                branch.call_state = CallState::Due(step.now.mono.after(pause));
                let kind = EventKind::CallFailed;
                let line = Line { kind, branch: &branch.spec.id, op, attempt, detail: &summary };
                step.happened(&mut self.history, line);
                if op != Op::Try {
                    self.park_if_stuck(position, op, failure, step);
                }
            }
        }
    }

    /// An answer to a call that is no longer the one under way: of an earlier epoch, or
    /// overtaken. All it can still do is acknowledge the decision.
    pub(crate) fn answered_late(
        &mut self,
        position: usize,
        op: Op,
        answer: &Answer,
        step: &mut Step<'_>,
    ) {
        let decided_op = match &self.phase {
            Phase::Trying { .. } | Phase::Finished { .. } => return,
            Phase::SecondPhase(decided) => decided.decision.op(),
        };
        let branch = branch_at(&mut self.branches, position);
        if op == decided_op && !branch.is_done() && verdict(op, answer) == Verdict::Done {
            acknowledged(branch, self.has_stages, step);
        }
    }

    pub(super) fn park_if_stuck(
        &mut self,
        position: usize,
        op: Op,
        failure: FailureKind,
        step: &mut Step<'_>,
    ) {
        let branch = branch_at(&mut self.branches, position);
        let since = branch.failure_stats.since.unwrap_or(step.now.mono);
        let doubted = step.now.mono.since(since) >= step.rules.park_after;
        let wrong =
            branch.failure_stats.permanent_in_a_row >= step.rules.park_after_permanent_errors;
        if branch.parked || !(doubted || wrong || failure == FailureKind::ReservationLost) {
            return;
        }
        branch.parked = true;
        let attempt = *branch.attempts.get(op);
        let detail = branch.last_error.clone().unwrap_or_else(|| Arc::from("in progress"));
        let kind = EventKind::Parked;
        let line = Line { kind, branch: &branch.spec.id, op, attempt, detail: &detail };
        step.happened(&mut self.history, line);
        branch.write_row_into(step);
        let branch = Arc::clone(&branch.spec);
        self.write_parked_if_untold(step);
        step.parked.push(ParkedNow { branch, op, attempts: attempt });
    }
}

fn tried(branch: &mut Branch, is_built_on: bool, step: &mut Step<'_>) {
    branch.state = BranchState::Tried;
    branch.call_state = CallState::Idle;
    branch.answer = None;
    if is_built_on {
        branch.write_row_into(step);
    }
}

/// It rides with completion or is written after a while, unless the next stage is called on the
/// strength of it.
fn acknowledged(branch: &mut Branch, is_built_on: bool, step: &mut Step<'_>) {
    let unwritten_since = (!is_built_on).then_some(step.now.mono);
    branch.state = BranchState::Done { at: step.now.wall, unwritten_since };
    branch.call_state = CallState::Idle;
    if is_built_on {
        branch.parked = false;
        branch.write_row_into(step);
    }
}

fn try_answer(answer: &Answer) -> TryAnswer {
    match answer {
        Answer::Status { code, excerpt, .. } => {
            TryAnswer { status: Some(*code), body: Arc::from(excerpt.as_str()) }
        }
        Answer::Nothing { why } => TryAnswer { status: None, body: Arc::from(why.as_str()) },
    }
}
