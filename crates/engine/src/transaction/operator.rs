//! What operators do: have what waits called at once, and end a branch by hand.
//!
//! ```text
//!             the call under way is answered otherwise, or none is
//!  resolve ──────────────────────────────────────────────────────▶ Done, resolved
//!     │  it is answered: done
//!     └─────────────────────────▶ Done, acknowledged: the operator's word is dropped
//! ```
//!
//! While a call is under way nobody knows yet whether the participant does what was decided.
//! So the word waits for its answer and no other call is made; it is told to nobody, and a
//! crash forgets it. Once it takes effect it is written at once: it is no completion that
//! could be had again by asking the participant.

use tercet_wire::{EventKind, Resolution};

use crate::engine::output::Refusal;
use crate::transaction::branch::{BranchState, CallState};
use crate::transaction::{Phase, Step, Transaction};

impl Transaction {
    /// Whatever waits for its next call is due now. A call under way stays the only one.
    pub(crate) fn retry(&mut self, who: &str, step: &mut Step<'_>) {
        match &self.phase {
            Phase::Trying { .. } | Phase::SecondPhase(_) => {}
            Phase::Finished { .. } => return,
        }
        let mut hastened = 0_usize;
        for branch in &mut self.branches {
            match branch.call_state {
                CallState::Due(at) if at > step.now.mono => {
                    branch.call_state = CallState::Due(step.now.mono);
                    hastened += 1;
                }
                CallState::Waiting { .. } => {
                    branch.call_state = CallState::Due(step.now.mono);
                    hastened += 1;
                }
                CallState::Due(_) | CallState::Idle | CallState::InFlight { .. } => {}
            }
        }
        if hastened > 0 {
            self.was_retried(&format!("by {who}"), step);
        }
    }

    /// Takes an operator's word about a branch; `advance` says when it takes effect.
    pub(crate) fn resolve(&mut self, word: Box<Resolution>) -> Result<(), Refusal> {
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
                branch.pending_resolution.get_or_insert(word);
                Ok(())
            }
        }
    }

    /// Ends the branches that an operator resolved and that have no call under way any more.
    pub(super) fn resolve_what_is_free(&mut self, step: &mut Step<'_>) {
        for branch in &mut self.branches {
            let waits = match branch.call_state {
                CallState::InFlight { .. } => true,
                CallState::Due(_) | CallState::Waiting { .. } | CallState::Idle => false,
            };
            // Its acknowledgement came first, and wins.
            if branch.is_done() {
                branch.pending_resolution = None;
            }
            if waits {
                continue;
            }
            let Some(word) = branch.pending_resolution.take() else { continue };
            branch.state = BranchState::Done { at: step.now.wall, unwritten_since: None };
            branch.call_state = CallState::Idle;
            branch.resolved_as = Some(word.as_);
            branch.parked = false;
            branch.write_row_into(step);
            let Resolution { branch, as_, note, who } = *word;
            let note = note.map(|note| format!(": {note}")).unwrap_or_default();
            // There is one per branch, so each is kept.
            let detail = format!("as {as_} by {who}{note}");
            step.was_done_by_hand(&mut self.history, EventKind::Resolved, Some(branch), &detail);
        }
    }
}
