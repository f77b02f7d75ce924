//! What initiators ask for. Each answer is a named refusal or a change of what is known;
//! what follows from it is `advance`'s to say.

use std::sync::Arc;

use tercet_wire::{BranchId, BranchSpec, Reason, Unfit, check_shape};

use crate::engine::output::Refusal;
use crate::record::{Change, Decision};
use crate::transaction::branch::Branch;
use crate::transaction::pattern::order;
use crate::transaction::{Phase, Step, Transaction};

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The branch is new.
    New,
    /// It was there, with the same content.
    Repeat,
}

impl Transaction {
    /// Registers a branch, a new one only if there is room for more in the node. Its position is
    /// the next one, whatever `new` says.
    pub(crate) fn register(
        &mut self,
        new: &BranchSpec,
        room: Result<(), Refusal>,
        step: &mut Step<'_>,
    ) -> Result<Registered, Refusal> {
        match &self.phase {
            Phase::Trying { .. } => {}
            Phase::SecondPhase(decided) | Phase::Finished { decided, .. } => {
                return Err(already(&decided.decision));
            }
        }
        if !self.spec.open {
            return Err(Refusal::NotOpen);
        }
        if self.is_for_its_initiator_to_say(step.now.mono) {
            return Err(Refusal::AsksItsInitiator);
        }
        if let Some(known) = self.branch(&new.id) {
            return match known.spec.fingerprint == new.fingerprint {
                true => Ok(Registered::Repeat),
                false => Err(Refusal::BranchReused(new.id.clone())),
            };
        }
        if self.branches.len() >= step.rules.branches {
            return Err(Refusal::TooManyBranches { limit: step.rules.branches });
        }
        check_shape(new, self.spec.pattern).map_err(Refusal::Unfit)?;
        let unknown = |id: &&BranchId| self.branch(id).is_none();
        if let Some(id) = new.after().into_iter().flatten().find(unknown) {
            let what = format!("names {id}, and no branch has that id");
            return Err(Refusal::Unfit(Unfit { field: "after", what }));
        }
        room?;
        let mut spec = new.clone();
        spec.position = u32::try_from(self.branches.len()).unwrap_or(u32::MAX);
        let spec = Arc::new(spec);
        step.changes.push(Change::Registered(Arc::clone(&spec)));
        self.branches.push(Branch::new(spec, step.now));
        self.order = order(self.spec.pattern, &self.branches);
        Ok(Registered::New)
    }

    /// The initiator asks for confirm. Repeats of the decision that won are welcome.
    pub(crate) fn confirm(&mut self, step: &mut Step<'_>) -> Result<(), Refusal> {
        match &self.phase {
            Phase::Trying { .. } if !self.spec.open => Err(Refusal::NotOpen),
            Phase::Trying { .. } => {
                let outstanding = self.outstanding_tries();
                if !outstanding.is_empty() {
                    return Err(Refusal::TriesOutstanding(outstanding));
                }
                self.decide(Decision::Confirm, step);
                Ok(())
            }
            Phase::SecondPhase(decided) | Phase::Finished { decided, .. } => match decided.decision
            {
                Decision::Confirm => Ok(()),
                Decision::Cancel { .. } => Err(Refusal::AlreadyCancelled),
            },
        }
    }

    /// The initiator asks for cancel. Repeats of the decision that won are welcome.
    pub(crate) fn cancel(
        &mut self,
        detail: Option<Arc<str>>,
        step: &mut Step<'_>,
    ) -> Result<(), Refusal> {
        match &self.phase {
            Phase::Trying { .. } => {
                self.decide(Decision::Cancel { reason: Reason::Requested, detail }, step);
                Ok(())
            }
            Phase::SecondPhase(decided) | Phase::Finished { decided, .. } => match decided.decision
            {
                Decision::Confirm => Err(Refusal::AlreadyConfirmed),
                Decision::Cancel { .. } => Ok(()),
            },
        }
    }

    /// The branches whose Try the coordinator calls and has no answer to.
    pub(crate) fn outstanding_tries(&self) -> Vec<BranchId> {
        let outstanding = self.branches.iter().filter(|branch| branch.is_try_outstanding());
        outstanding.map(|branch| branch.id().clone()).collect()
    }
}

/// The refusal that names the decision that won.
pub(crate) fn already(decision: &Decision) -> Refusal {
    match decision {
        Decision::Confirm => Refusal::AlreadyConfirmed,
        Decision::Cancel { .. } => Refusal::AlreadyCancelled,
    }
}
