//! What stood `trying` in a database that was restored from a backup is held: the backup is older than
//! what participants have done since, so nothing of it is called, cancelled or expires until people
//! have looked and release it.
//!
//! ```text
//!             release: clocks begin anew, and whose time is over gets one more round
//!   held ──────────────────────────────────────────────▶ as after any other start
//!     └── an operator confirms or cancels it by name ──▶ decided
//! ```

use tercet_wire::{Action, Op, Wall};

use crate::engine::input::HeldDecision;
use crate::engine::output::Refusal;
use crate::transaction::operator::Did;
use crate::transaction::restore::SHORTEST_ROUND;
use crate::transaction::{Phase, Rules, Step, Transaction};

impl Rules {
    /// Whether what was begun then is held, as long as it is trying.
    fn holds(&self, created_at: Wall) -> bool {
        self.held_to.is_some_and(|to| created_at <= to)
    }
}

impl Transaction {
    /// Whether nothing of it is called, and nothing decided, until it is released.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held && matches!(self.phase, Phase::Trying { .. })
    }

    /// It was read from the journal, and is held if it was there when the database was restored.
    pub(crate) fn is_held_by(&mut self, rules: &Rules) {
        self.held = rules.holds(self.spec.created_at);
    }

    /// It goes on. As after a stop that nobody expected, what is outstanding is asked once more
    /// before its deadline cancels it: participants that have confirmed meanwhile say so.
    pub(crate) fn release(&mut self, step: &mut Step<'_>) {
        if !self.is_held() {
            return;
        }
        self.held = false;
        for branch in &mut self.branches {
            branch.failure_stats.since = None;
        }
        let round = self.branches.iter().map(|branch| branch.spec.timeout).max();
        let round = step.now.mono.after(round.unwrap_or(SHORTEST_ROUND).max(SHORTEST_ROUND));
        match &mut self.phase {
            Phase::Trying { deadline } if *deadline < round => {
                *deadline = round;
                self.is_given_one_more_round();
            }
            Phase::Trying { .. } | Phase::SecondPhase(_) | Phase::Finished { .. } => {}
        }
    }

    /// An operator decides it although it is held. Of one that is not, it is what anybody may ask.
    pub(crate) fn decide_held(
        &mut self,
        decision: HeldDecision,
        step: &mut Step<'_>,
    ) -> Result<(), Refusal> {
        let HeldDecision { op, note, by } = decision;
        let was_held = self.is_held();
        let action = match op {
            Op::Confirm => {
                self.confirm(step)?;
                Action::ConfirmHeld
            }
            Op::Try | Op::Cancel => {
                self.cancel(note.clone(), step)?;
                Action::CancelHeld
            }
        };
        if was_held {
            let detail = "{}".to_owned();
            self.was_act_of(&by, Did { action, branch: None, note, detail }, step);
        }
        Ok(())
    }
}
