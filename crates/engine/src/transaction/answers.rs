//! What participants' answers mean for a transaction.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{Answer, BranchResult, EventKind, FailureKind, Mono, Op, Verdict, verdict};

use crate::dispatch::{Health, health};
use crate::record::{LastAnswer, TryAnswer};
use crate::transaction::branch::{Branch, BranchState, CallState};
use crate::transaction::history::Line;
use crate::transaction::results::result_of;
use crate::transaction::{Doubt, Phase, Step, Transaction, branch_at};

/// The least that a Try waits before it is called again, however near the deadline.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// In progress: the one answer with a status that says nothing worth keeping.
const ACCEPTED: u16 = 202;

impl Transaction {
    /// The call under way was answered.
    pub(crate) fn answered(
        &mut self,
        position: usize,
        op: Op,
        answer: &Answer,
        step: &mut Step<'_>,
    ) {
        let too_large = self.without_room(op, answer);
        let answer = too_large.as_ref().unwrap_or(answer);
        let deadline = self.deadline();
        let keeps_result = op == Op::Try && self.keeps_result(position);
        let (is_ordered, parks, steps) =
            (self.order.is_some(), self.parks(op), self.branches.len());
        let branch = branch_at(&mut self.branches, position);
        let attempt = *branch.attempts.get(op);
        let was_left_behind = std::mem::take(&mut branch.left_behind);
        (branch.failure_stats.no_room, branch.failure_stats.no_room_since) = (0, None);
        match verdict(op, answer) {
            Verdict::Done => {
                if is_ordered {
                    let (kind, branch) = (EventKind::StepDone, &branch.spec.id);
                    let line = Line { kind, branch, op, attempt, detail: "" };
                    step.stepped(&mut self.history, steps, line);
                }
                match op {
                    // An initiator is told of each Try and builds on it, and so do the steps after
                    // it: it must survive a crash. Elsewhere the Try would only be asked again.
                    Op::Try if keeps_result => {
                        let result = result_of(answer);
                        tried_with(branch, &result, step);
                        self.results.keep(position, result);
                    }
                    Op::Try => tried(branch, self.spec.open || is_ordered, step),
                    Op::Confirm | Op::Cancel => acknowledged(branch, is_ordered, step),
                }
            }
            Verdict::Refused => {
                let detail = &told(branch.last_answer.as_deref(), op, answer);
                keep_answer(branch, op, answer, step);
                branch.state = BranchState::Refused;
                branch.call_state = CallState::Idle;
                no_longer_waits(branch);
                branch.last_error = Some(Arc::from(answer.summary()));
                branch.answer = Some(try_answer(answer));
                let kind = EventKind::TryRefused;
                let line = Line { kind, branch: &branch.spec.id, op, attempt, detail };
                step.happened(&mut self.history, line);
            }
            Verdict::InProgress(pause) => {
                keep_answer(branch, op, answer, step);
                branch.failure_stats.permanent_in_a_row = 0;
                branch.failure_stats.unreachable = false;
                branch.failure_stats.pause_asked = true;
                let next = match was_left_behind {
                    true => step.now.mono,
                    false => before(deadline, step.now.mono, pause, Some(pause)),
                };
                branch.call_state = CallState::Due(next);
                if parks {
                    // It is at it: a sign of life, which ends the doubt. From when it wants to be
                    // asked again the next one begins.
                    branch.failure_stats.since = Some(next);
                    branch.told_parked = None;
                    if std::mem::take(&mut branch.parked) {
                        branch.write_row_into(step);
                    }
                }
            }
            // What is wrong there says nothing about where it is called now.
            Verdict::Again { .. } if was_left_behind => {
                branch.call_state = CallState::Due(step.now.mono);
                let (kind, detail) = (EventKind::CallFailed, &told(None, op, answer));
                let line = Line { kind, branch: &branch.spec.id, op, attempt, detail };
                step.happened(&mut self.history, line);
            }
            Verdict::Again { failure, pause } => {
                let summary = answer.summary();
                let detail = &told(branch.last_answer.as_deref(), op, answer);
                keep_answer(branch, op, answer, step);
                branch.failed(failure, &summary);
                branch.failure_stats.unreachable = health(answer) == Health::Failed;
                if op == Op::Try {
                    branch.answer = Some(try_answer(answer));
                }
                branch.failure_stats.pause_asked = pause.is_some();
                let entropy = step.entropy(position);
                let asked = pause;
                let pause = step.rules.backoff.pause(branch.failure_stats.failures, entropy, asked);
                let next = before(deadline, step.now.mono, pause, asked);
                branch.call_state = CallState::Due(next);
                let kind = EventKind::CallFailed;
                let line = Line { kind, branch: &branch.spec.id, op, attempt, detail };
                step.happened(&mut self.history, line);
                if parks {
                    self.park_if_hopeless(position, op, failure, step);
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
        let (is_ordered, steps) = (self.order.is_some(), self.branches.len());
        let branch = branch_at(&mut self.branches, position);
        if op == decided_op && !branch.is_done() && verdict(op, answer) == Verdict::Done {
            if is_ordered {
                let attempt = *branch.attempts.get(op);
                let (kind, branch) = (EventKind::StepDone, &branch.spec.id);
                let line = Line { kind, branch, op, attempt, detail: "" };
                step.stepped(&mut self.history, steps, line);
            }
            acknowledged(branch, is_ordered, step);
        }
    }

    /// Shows a branch to people whose participant says what cannot become right by itself.
    fn park_if_hopeless(
        &mut self,
        position: usize,
        op: Op,
        failure: FailureKind,
        step: &mut Step<'_>,
    ) {
        let branch = branch_at(&mut self.branches, position);
        let wrong =
            branch.failure_stats.permanent_in_a_row >= step.rules.park_after_permanent_errors;
        let at_once = match failure {
            FailureKind::ReservationLost | FailureKind::NotAllowed => true,
            FailureKind::Transient | FailureKind::Permanent => false,
        };
        if wrong || at_once {
            self.park(position, op, Doubt::Hopeless, step);
        }
    }
}

/// A Try that would be called after the deadline is called once more before it, when half of what
/// is left has passed, or when its participant wants to be asked if that is before it: to wait for
/// the deadline would help nobody.
pub(super) fn before(
    deadline: Option<Mono>,
    now: Mono,
    pause: Duration,
    asked: Option<Duration>,
) -> Mono {
    let next = now.after(pause);
    let Some(deadline) = deadline.filter(|deadline| next >= *deadline) else { return next };
    let left = deadline.since(now);
    let asked = asked.filter(|asked| *asked < left).unwrap_or_default();
    now.after((left / 2).max(SHORTEST_PAUSE).max(asked)).min(deadline)
}

fn tried(branch: &mut Branch, is_built_on: bool, step: &mut Step<'_>) {
    is_tried(branch);
    if is_built_on {
        branch.write_row_into(step);
    }
}

/// Likewise, and what it was answered with is kept: whoever is called with that is called on the
/// strength of it.
fn tried_with(branch: &mut Branch, result: &BranchResult, step: &mut Step<'_>) {
    is_tried(branch);
    branch.write_row_with(result, step);
}

fn is_tried(branch: &mut Branch) {
    branch.state = BranchState::Tried;
    branch.call_state = CallState::Idle;
    branch.answer = None;
    no_longer_waits(branch);
}

/// It has the answer that was waited for: nobody needs to look at it for that.
fn no_longer_waits(branch: &mut Branch) {
    branch.parked = false;
    branch.told_parked = None;
    branch.failure_stats.since = None;
}

/// It rides with completion or is written after a while, unless the next step is called on the
/// strength of it.
fn acknowledged(branch: &mut Branch, is_built_on: bool, step: &mut Step<'_>) {
    let unwritten_since = (!is_built_on).then_some(step.now.mono);
    branch.state = BranchState::Done { at: step.now.wall, unwritten_since };
    branch.call_state = CallState::Idle;
    if is_built_on {
        branch.parked = false;
        // It came first, and wins.
        branch.word = None;
        branch.write_row_into(step);
    }
}

fn try_answer(answer: &Answer) -> TryAnswer {
    match answer {
        Answer::Status { code, excerpt, .. } => {
            TryAnswer { status: Some(*code), body: Arc::from(excerpt.as_str()) }
        }
        Answer::Result { code, .. } => TryAnswer { status: Some(*code), body: Arc::from("") },
        // It would have been a result, which not everybody may see who may see answers.
        Answer::ResultTooLarge { code, .. } => {
            TryAnswer { status: Some(*code), body: Arc::from("") }
        }
        Answer::Nothing { .. } | Answer::NotAllowed { .. } => {
            TryAnswer { status: None, body: Arc::from(answer.summary()) }
        }
    }
}

/// Keeps what a participant said, for people.
pub(super) fn keep_answer(branch: &mut Branch, op: Op, answer: &Answer, step: &Step<'_>) {
    match answer {
        Answer::Status { code, excerpt, .. } if *code != ACCEPTED => {
            let (status, body, at) = (*code, Arc::from(excerpt.as_str()), step.now.wall);
            branch.last_answer = Some(Arc::new(LastAnswer { op, status, body, at }));
        }
        // What is kept of a Try, or would be, is a success.
        Answer::Status { .. }
        | Answer::Result { .. }
        | Answer::ResultTooLarge { .. }
        | Answer::Nothing { .. }
        | Answer::NotAllowed { .. } => {}
    }
}

/// An answer as the history tells it: with the participant's words, unless it has said just that
/// before.
pub(super) fn told(before: Option<&LastAnswer>, op: Op, answer: &Answer) -> String {
    let summary = answer.summary();
    let words = match answer {
        Answer::Status { code, excerpt, .. } => {
            let known = before.is_some_and(|before| {
                before.op == op && before.status == *code && *before.body == **excerpt
            });
            Some(excerpt.trim()).filter(|words| !known && !words.is_empty())
        }
        Answer::ResultTooLarge { code, .. } => return format!("{summary}: answered {code}"),
        Answer::Result { .. } | Answer::Nothing { .. } | Answer::NotAllowed { .. } => None,
    };
    match words {
        Some(words) => format!("{summary}: {words}"),
        None => summary,
    }
}
