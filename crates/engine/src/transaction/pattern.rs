//! What depends on the shape of a transaction, and nothing else does: what decides, which
//! branches may be called now, when it is finished, and what its status implies for a branch
//! without a row. `advance` asks in its own order, which is the same for every pattern.

use std::sync::Arc;

use tercet_wire::{
    BranchSpec, BranchStatus, Now, Op, Order, Pattern, PerOp, Reason, Status, TryBy,
};

use crate::record::Decision;
use crate::transaction::branch::{Branch, BranchState};
use crate::transaction::{Phase, Step, Transaction};

/// Which branches may be called now, by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// All of them.
    Everyone,
    /// Those of which this is true.
    Those(Vec<bool>),
}

impl Turn {
    pub(super) fn includes(&self, position: usize) -> bool {
        match self {
            Self::Everyone => true,
            Self::Those(those) => those.get(position).copied().unwrap_or(false),
        }
    }
}

impl Transaction {
    /// The decision that what is known calls for, if none has been taken.
    pub(super) fn due_decision(&self, step: &Step<'_>) -> Option<Decision> {
        match self.spec.pattern {
            Pattern::Tcc | Pattern::Saga => self.due_decision_of_tries(step),
        }
    }

    /// Which branches may be called now. All of them, unless they have an order: then a Try waits
    /// for those of the branches before it, a Confirm for theirs, and a Cancel for those of the
    /// branches after it.
    #[inline]
    pub(super) fn turn(&self) -> Turn {
        self.order.as_ref().map_or(Turn::Everyone, |order| self.turn_in(order))
    }

    fn turn_in(&self, order: &Order) -> Turn {
        let is_done = |position: usize| self.branches.get(position).is_some_and(Branch::is_done);
        let turns = (0..self.branches.len()).map(|position| match self.decision() {
            None => self.is_in_its_round(position) && self.is_reached(order, position),
            Some(Decision::Confirm) => order.before(position).all(is_done),
            Some(Decision::Cancel { .. }) => order.after(position).all(is_done),
        });
        Turn::Those(turns.collect())
    }

    /// Whether all that come before it are tried, so that it may have been called.
    fn is_reached(&self, order: &Order, position: usize) -> bool {
        let is_tried = |position: usize| {
            self.branches.get(position).is_some_and(|it| it.state == BranchState::Tried)
        };
        order.before(position).all(is_tried)
    }

    fn is_in_its_round(&self, position: usize) -> bool {
        let round = self.last_round.as_ref();
        round.is_none_or(|round| round.get(position).copied().unwrap_or(false))
    }

    /// It comes back into memory, and its deadline is over by the wall clock alone: it was given one
    /// more round before it left.
    pub(crate) fn goes_on_in_its_round(&mut self, now: Now) {
        if let Phase::Trying { deadline } = &self.phase
            && self.spec.deadline_at <= now.wall
            && *deadline > now.mono
        {
            self.is_given_one_more_round();
        }
    }

    /// From here on nobody is tried but those whose turn it is.
    pub(super) fn is_given_one_more_round(&mut self) {
        if let Turn::Those(those) = self.turn() {
            self.last_round = Some(Arc::new(those));
        }
    }

    /// Those that cannot have been called, and never will be, now that it is cancelled.
    pub(super) fn unreached(&self) -> Vec<usize> {
        let Some(order) = &self.order else { return Vec::new() };
        (0..self.branches.len()).filter(|position| !self.is_reached(order, *position)).collect()
    }

    /// Whether a Try that fails for long is shown to people: elsewhere it uses up its attempts.
    pub(super) fn parks(&self, op: Op) -> bool {
        match self.spec.pattern {
            Pattern::Tcc => op != Op::Try,
            Pattern::Saga => true,
        }
    }

    /// Whether everything that was decided is done.
    pub(super) fn is_complete(&self) -> bool {
        match self.spec.pattern {
            Pattern::Tcc | Pattern::Saga => self.branches.iter().all(Branch::is_done),
        }
    }

    /// How often a Try may fail before it is given up; without end where there is none.
    fn try_attempts(&self, branch: &Branch, step: &Step<'_>) -> Option<u32> {
        let of_pattern = match self.spec.pattern {
            Pattern::Tcc => step.rules.try_attempts,
            Pattern::Saga => 0,
        };
        Some(branch.spec.try_attempts().unwrap_or(of_pattern)).filter(|attempts| *attempts > 0)
    }

    fn due_decision_of_tries(&self, step: &Step<'_>) -> Option<Decision> {
        let deadline = match &self.phase {
            Phase::Trying { deadline } => *deadline,
            Phase::SecondPhase(_) | Phase::Finished { .. } => return None,
        };
        let refused = self.branches.iter().find(|branch| branch.state == BranchState::Refused);
        if let Some(branch) = refused {
            return Some(cancel(Reason::TryRefused, branch));
        }
        let used_up = self.branches.iter().find(|branch| {
            let most = self.try_attempts(branch, step);
            let failures = branch.failure_stats.failures;
            branch.is_try_outstanding() && most.is_some_and(|most| failures >= most)
        });
        if let Some(branch) = used_up {
            return Some(cancel(Reason::TryFailed, branch));
        }
        // It was cancelled before it was begun; a crash has come between the two records.
        if self.spec.fingerprint.is_of_refused() {
            return Some(Decision::Cancel { reason: Reason::Requested, detail: None });
        }
        // Confirm before the deadline: what is fully reserved has no reason to be dropped.
        if !self.spec.open && !self.branches.iter().any(Branch::is_try_outstanding) {
            return Some(Decision::Confirm);
        }
        let late = step.now.mono >= deadline && !self.asks_at_the_deadline();
        late.then_some(Decision::Cancel { reason: Reason::Deadline, detail: None })
    }
}

/// In which order branches are called, where their pattern has one.
pub(super) fn order(pattern: Pattern, branches: &[Branch]) -> Option<Arc<Order>> {
    match pattern {
        Pattern::Tcc => None,
        Pattern::Saga => {
            let specs: Vec<Arc<BranchSpec>> =
                branches.iter().map(|branch| Arc::clone(&branch.spec)).collect();
            Some(Arc::new(Order::of(&specs)))
        }
    }
}

/// What the status of a transaction says of a branch that has no row of its own: how far it is.
pub(super) fn implied_status(pattern: Pattern, spec: &BranchSpec, status: Status) -> BranchStatus {
    match (pattern, status) {
        (Pattern::Tcc | Pattern::Saga, Status::Trying) => match (spec.url(Op::Try), spec.try_by) {
            (None, TryBy::Coordinator) => BranchStatus::Tried,
            (Some(_), _) | (None, TryBy::Initiator) => BranchStatus::Registered,
        },
        (Pattern::Tcc | Pattern::Saga, Status::Confirming | Status::Cancelling) => {
            match spec.try_by {
                TryBy::Coordinator => BranchStatus::Tried,
                TryBy::Initiator => BranchStatus::Registered,
            }
        }
        (Pattern::Tcc | Pattern::Saga, Status::Confirmed) => BranchStatus::Confirmed,
        (Pattern::Tcc | Pattern::Saga, Status::Cancelled) => BranchStatus::Cancelled,
    }
}

/// And what it was called: each leg once, as far as the status says that it was called.
pub(super) fn implied_attempts(pattern: Pattern, spec: &BranchSpec, status: Status) -> PerOp<u32> {
    let called = |op: Op, by_now: bool| u32::from(by_now && spec.url(op).is_some());
    match pattern {
        Pattern::Tcc | Pattern::Saga => PerOp {
            try_: called(Op::Try, status.is_decided()),
            confirm: called(Op::Confirm, status == Status::Confirmed),
            cancel: called(Op::Cancel, status == Status::Cancelled),
        },
    }
}

fn cancel(reason: Reason, branch: &Branch) -> Decision {
    let why = branch.last_error.as_deref().unwrap_or("no answer");
    let detail = format!("{}: {why}", branch.id());
    Decision::Cancel { reason, detail: Some(Arc::from(detail)) }
}
