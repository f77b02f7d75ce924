//! What initiators ask for. Each answer is a named refusal or a change of what is known;
//! what follows from it is `advance`'s to say.

use std::sync::Arc;

use tercet_wire::{BranchId, BranchSpec, Pattern, Reason, check_places, check_shape};

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
        self.takes_branches(step)?;
        if let Some(known) = self.branch(&new.id) {
            return known.is_repeated_by(new).map(|()| Registered::Repeat);
        }
        let new = std::slice::from_ref(new);
        self.check_new(new, step).map_err(|(_, refusal)| refusal)?;
        room?;
        let spec = self.add(new, step);
        step.changes.extend(spec.into_iter().map(Change::Registered));
        Ok(Registered::New)
    }

    /// Registers several, all or none of them, as `register` does one.
    pub(crate) fn register_at_once(
        &mut self,
        new: &[BranchSpec],
        room: Result<(), Refusal>,
        step: &mut Step<'_>,
    ) -> Result<Registered, Refusal> {
        self.takes_branches(step)?;
        let of_several =
            |(place, refusal)| Refusal::OfSeveral { place, refusal: Box::new(refusal) };
        if self.repeats(new).map_err(of_several)? {
            return Ok(Registered::Repeat);
        }
        self.check_new(new, step).map_err(of_several)?;
        room?;
        let specs = self.add(new, step);
        step.changes.push(Change::RegisteredAtOnce(specs));
        Ok(Registered::New)
    }

    fn takes_branches(&self, step: &Step<'_>) -> Result<(), Refusal> {
        match &self.phase {
            Phase::Trying { .. } if self.is_for_its_initiator_to_say(step.now.mono) => {
                Err(Refusal::AsksItsInitiator)
            }
            Phase::Trying { .. } if self.spec.open => Ok(()),
            Phase::Trying { .. } => Err(Refusal::NotOpen),
            Phase::SecondPhase(decided) | Phase::Finished { decided, .. } => {
                Err(already(&decided.decision))
            }
        }
    }

    /// Whether these were registered before, together. That other content has one of their ids is
    /// told before that they were registered otherwise.
    fn repeats(&self, new: &[BranchSpec]) -> Result<bool, (usize, Refusal)> {
        let known = || {
            let known =
                new.iter().enumerate().map(|(place, new)| (place, new, self.branch(&new.id)));
            known.filter_map(|(place, new, known)| Some((place, known?.is_repeated_by(new))))
        };
        let refused = |is_content: bool| {
            let refused = known().filter_map(|(place, repeated)| Some((place, repeated.err()?)));
            let is_of =
                move |refusal: &Refusal| matches!(refusal, Refusal::BranchReused(_)) == is_content;
            refused.into_iter().find(|(_, refusal)| is_of(refusal))
        };
        if let Some(refused) = refused(true).or_else(|| refused(false)) {
            return Err(refused);
        }
        match known().count() {
            0 => Ok(false),
            all if all == new.len() => Ok(true),
            // Rows of branches that were registered at once are written at once.
            _ => Err((0, Refusal::Quarantined)),
        }
    }

    /// Whether branches of which none is there may come to those that are; and which may not, by
    /// its place.
    fn check_new(&self, new: &[BranchSpec], step: &Step<'_>) -> Result<(), (usize, Refusal)> {
        let room = step.rules.branches.saturating_sub(self.branches.len());
        if new.len() > room {
            return Err((room, Refusal::TooManyBranches { limit: step.rules.branches }));
        }
        for (place, new) in new.iter().enumerate() {
            check_shape(new, self.spec.pattern).map_err(|it| (place, Refusal::Unfit(it)))?;
        }
        match self.spec.pattern {
            Pattern::Tcc => Ok(()),
            Pattern::Saga => {
                let known = self.branches.iter().map(|branch| Arc::clone(&branch.spec));
                check_places(known, new).map_err(|(place, it)| (place, Refusal::Unfit(it)))
            }
        }
    }

    /// Takes them in, at the next positions.
    fn add(&mut self, new: &[BranchSpec], step: &Step<'_>) -> Vec<Arc<BranchSpec>> {
        let add = |new: &BranchSpec| {
            let mut spec = new.clone();
            spec.position = u32::try_from(self.branches.len()).unwrap_or(u32::MAX);
            let spec = Arc::new(spec);
            self.branches.push(Branch::new(Arc::clone(&spec), step.now));
            spec
        };
        let specs = new.iter().map(add).collect();
        self.order = order(self.spec.pattern, &self.branches);
        specs
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

impl Branch {
    /// Whether a registration asks for what is there already.
    fn is_repeated_by(&self, new: &BranchSpec) -> Result<(), Refusal> {
        let (known, asked) = (&self.spec.fingerprint, &new.fingerprint);
        if known == asked {
            return Ok(());
        }
        let id = self.spec.id.clone();
        Err(match known.has_content_of(asked) {
            true => Refusal::BranchAmongOthers(id),
            false => Refusal::BranchReused(id),
        })
    }
}

/// The refusal that names the decision that won.
pub(crate) fn already(decision: &Decision) -> Refusal {
    match decision {
        Decision::Confirm => Refusal::AlreadyConfirmed,
        Decision::Cancel { .. } => Refusal::AlreadyCancelled,
    }
}
