//! What operators do: have what waits called at once, and end a branch by hand.
//!
//! ```text
//!             the call under way is answered otherwise, none is, or two seconds have passed
//!  resolve ──────────────────────────────────────────────────────▶ Done, resolved
//!     │  it is answered: done                                          │ what the call still
//!     └─────────────────────────▶ Done, acknowledged:                  ▼ says otherwise
//!                                 the operator's word is dropped     mixed
//! ```
//!
//! While a call is under way nobody knows yet whether the participant does what was decided. So
//! the word waits for its answer, but not for long, and no other call is made. It is durable and
//! shown before it is told, so that a restart goes on with it: then no call is under way.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{
    Action, Answer, Audited, BranchId, EventKind, FailureKind, Op, Operator, Resolution,
    ResolvedAs, Verdict, verdict,
};

use crate::act::Act;
use crate::engine::output::Refusal;
use crate::record::PendingResolution;
use crate::transaction::branch::{BranchState, CallState, Word};
use crate::transaction::history::Line;
use crate::transaction::{Phase, Step, Transaction, branch_at};

/// How long a word waits for the answer to the call that is under way.
pub(super) const WAITS_FOR_AN_ANSWER: Duration = Duration::from_secs(2);

/// What an operator did, as the audit has it.
pub(super) struct Did {
    pub(super) action: Action,
    pub(super) branch: Option<BranchId>,
    pub(super) note: Option<Arc<str>>,
    pub(super) detail: String,
}

impl Transaction {
    /// Whatever waits for its next call is due now. A call under way stays the only one.
    pub(crate) fn retry(&mut self, by: &Operator, step: &mut Step<'_>) {
        match &self.phase {
            Phase::Trying { .. } | Phase::SecondPhase(_) => {}
            Phase::Finished { .. } => return,
        }
        let hastened = self.hasten(step);
        if hastened > 0 {
            self.was_retried(&by.to_string(), step);
        }
        let detail = format!("{{\"calls\":{hastened}}}");
        self.was_act_of(by, Did { action: Action::Retry, branch: None, note: None, detail }, step);
    }

    /// Whatever waits for its next call is due now; how many those are.
    pub(super) fn hasten(&mut self, step: &Step<'_>) -> usize {
        let mut hastened = 0_usize;
        for branch in self.callees_mut() {
            match branch.call_state {
                CallState::Due(at) if at > step.now.mono => {
                    branch.call_state = CallState::Due(step.now.mono);
                    hastened += 1;
                }
                CallState::Waiting { .. } => {
                    branch.call_state = CallState::Due(step.now.mono);
                    hastened += 1;
                }
                // What was put off is not hurried: nobody may call it before its time.
                CallState::Held(_)
                | CallState::Due(_)
                | CallState::Idle
                | CallState::InFlight { .. } => {}
            }
        }
        hastened
    }

    /// Takes an operator's word about a branch; `advance` says when it takes effect.
    pub(crate) fn resolve(&mut self, word: Resolution, step: &mut Step<'_>) -> Result<(), Refusal> {
        let Some(branch) = self.branches.iter_mut().find(|branch| *branch.id() == word.branch)
        else {
            return Err(Refusal::BranchNotFound(word.branch));
        };
        match &self.phase {
            Phase::Trying { .. } => Err(Refusal::NotDecided),
            Phase::SecondPhase(_) | Phase::Finished { .. } if branch.is_done() => {
                Err(Refusal::AlreadyFinished(word.branch))
            }
            Phase::SecondPhase(_) | Phase::Finished { .. } => {
                // Of two who disagree the first is heard; the other is told so.
                if let Some(earlier) = &branch.word {
                    return match earlier.said.as_ {
                        as_ if as_ == word.as_ => Ok(()),
                        as_ => Err(Refusal::ResolvedOtherwise(word.branch, as_)),
                    };
                }
                let Resolution { branch: id, as_, note, by } = word;
                let (who, reason, at) = (Arc::clone(&by.who), note.clone(), step.now.wall);
                let said = Arc::new(PendingResolution { as_, by: who, note: reason, at });
                let takes_effect = step.now.mono.after(WAITS_FOR_AN_ANSWER);
                branch.word = Some(Word { said, takes_effect });
                if matches!(branch.call_state, CallState::InFlight { .. }) {
                    branch.write_row_into(step);
                }
                let detail = format!("{{\"as\":\"{as_}\"}}");
                let did = Did { action: Action::Resolve, branch: Some(id), note, detail };
                self.was_act_of(&by, did, step);
                Ok(())
            }
        }
    }

    /// Has the audit say who did it, with whatever follows from it in this step; unless it belongs
    /// to a larger act, which has its row already.
    pub(super) fn was_act_of(&self, by: &Operator, did: Did, step: &mut Step<'_>) {
        let (id, role) = match by.audited {
            Audited::Row { id, role } => (id, role),
            Audited::PartOf(_) => return,
        };
        let Did { action, branch, note, detail } = did;
        step.act = Some(Box::new(Act {
            id,
            at: step.now.wall,
            who: Arc::clone(&by.who),
            role: Arc::from(role),
            action,
            gid: Some(self.gid().clone()),
            branch,
            note,
            detail: Arc::from(detail),
        }));
    }

    /// Ends the branches that an operator resolved and that have no call under way any more, or
    /// one that takes too long.
    pub(super) fn resolve_what_is_free(&mut self, step: &mut Step<'_>) {
        for branch in &mut self.branches {
            let Some(word) = &branch.word else { continue };
            // Its acknowledgement came first, and wins: also after a crash.
            if let BranchState::Done { unwritten_since, .. } = &mut branch.state {
                *unwritten_since = None;
                branch.word = None;
                branch.parked = false;
                branch.write_row_into(step);
                continue;
            }
            let overtaken = match branch.call_state {
                CallState::InFlight { .. } if step.now.mono < word.takes_effect => continue,
                CallState::InFlight { op, attempt } => Some((op, attempt)),
                CallState::Due(_)
                | CallState::Held(_)
                | CallState::Waiting { .. }
                | CallState::Idle => None,
            };
            let said = Arc::clone(&word.said);
            branch.word = None;
            branch.overtaken = overtaken;
            branch.state = BranchState::Done { at: step.now.wall, unwritten_since: None };
            branch.call_state = CallState::Idle;
            branch.resolved_as = Some(said.as_);
            branch.parked = false;
            branch.write_row_into(step);
            let PendingResolution { as_, by, note, at: _ } = &*said;
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            // There is one per branch, so each is kept.
            let (kind, id) = (EventKind::Resolved, branch.spec.id.clone());
            let detail = format!("as {as_} by {by}{note}");
            step.was_done_by_hand(&mut self.history, kind, Some(id), &detail);
        }
    }

    /// The call that was under way when an operator's word took effect has ended: what it says
    /// otherwise is shown, and changes nothing else.
    pub(crate) fn overtaken_answered(
        &mut self,
        position: usize,
        op: Op,
        answer: &Answer,
        step: &mut Step<'_>,
    ) {
        let branch = branch_at(&mut self.branches, position);
        let Some((_, attempt)) = branch.overtaken.take() else { return };
        let Some(as_) = branch.resolved_as.filter(|as_| says_otherwise(op, answer, *as_)) else {
            return;
        };
        branch.contradicted = true;
        branch.write_row_into(step);
        let detail = &format!("{} after it was resolved as {as_}", answer.summary());
        let (kind, branch) = (EventKind::Contradicted, &branch.spec.id);
        step.happened(&mut self.history, Line { kind, branch, op, attempt, detail });
    }

    /// Whether a call is under way that an operator's word has overtaken.
    pub(crate) fn awaits_overtaken_calls(&self) -> bool {
        self.branches.iter().any(|branch| branch.overtaken.is_some())
    }
}

/// Whether an answer says that what an operator took for done was not, or the other way round.
fn says_otherwise(op: Op, answer: &Answer, as_: ResolvedAs) -> bool {
    match verdict(op, answer) {
        Verdict::Done => op != as_.op(),
        Verdict::Refused => true,
        Verdict::Again { failure, .. } => match failure {
            FailureKind::Permanent | FailureKind::ReservationLost => op == as_.op(),
            // Nobody was asked.
            FailureKind::Transient | FailureKind::NotAllowed => false,
        },
        Verdict::InProgress(_) => false,
    }
}
