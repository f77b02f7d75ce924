//! What depends on the shape of a transaction, and nothing else does: what decides, which
//! branches may be called now, when it is finished, and what its status implies for a branch
//! without a row. `advance` asks in its own order, which is the same for every pattern.

use std::sync::Arc;

use tercet_wire::{BranchSpec, BranchStatus, Op, Pattern, PerOp, Reason, Status, TryBy};

use crate::record::{BranchRecord, Decision};
use crate::transaction::branch::{Branch, BranchState};
use crate::transaction::{Phase, Step, Transaction};

/// Which branches may be called now, by their stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// All of them.
    Everyone,
    /// Those of this stage and of the ones before it.
    UpTo(u32),
    /// Those of this stage and of the ones after it.
    DownTo(u32),
}

impl Turn {
    pub(super) fn includes(self, branch: &Branch) -> bool {
        match self {
            Self::Everyone => true,
            Self::UpTo(stage) => branch.spec.stage <= stage,
            Self::DownTo(stage) => branch.spec.stage >= stage,
        }
    }
}

impl Transaction {
    /// The decision that what is known calls for, if none has been taken.
    pub(super) fn due_decision(&self, step: &Step<'_>) -> Option<Decision> {
        match self.spec.pattern {
            Pattern::Tcc => self.due_decision_of_tries(step),
        }
    }

    /// Which branches may be called now. All of them, unless their stages differ: then a Try waits
    /// for those of the stages before it, and a Cancel for those of the stages after it.
    pub(super) fn turn(&self) -> Turn {
        match self.spec.pattern {
            Pattern::Tcc if !self.has_stages => Turn::Everyone,
            Pattern::Tcc => self.turn_by_stage(),
        }
    }

    /// Whether everything that was decided is done.
    pub(super) fn is_complete(&self) -> bool {
        match self.spec.pattern {
            Pattern::Tcc => self.branches.iter().all(Branch::is_done),
        }
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
            branch.is_try_outstanding() && branch.failure_stats.failures >= step.rules.try_attempts
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
        let late = step.now.mono >= deadline;
        late.then_some(Decision::Cancel { reason: Reason::Deadline, detail: None })
    }

    fn turn_by_stage(&self) -> Turn {
        let stage_of = |branch: &Branch| branch.spec.stage;
        let turn = match self.decision() {
            None => {
                let outstanding = self.branches.iter().filter(|it| it.is_try_outstanding());
                outstanding.map(stage_of).min().map(Turn::UpTo)
            }
            Some(Decision::Confirm) => None,
            Some(Decision::Cancel { .. }) => {
                let open = self.branches.iter().filter(|branch| !branch.is_done());
                open.map(stage_of).max().map(Turn::DownTo)
            }
        };
        turn.unwrap_or(Turn::Everyone)
    }
}

/// Whether branches are called one stage after another.
pub(super) fn has_stages(branches: &[Branch]) -> bool {
    branches.windows(2).any(|pair| match pair {
        [one, next] => one.spec.stage != next.spec.stage,
        _ => false,
    })
}

/// What the status of a transaction says of a branch that has no row of its own.
pub(super) fn implied(pattern: Pattern, spec: &BranchSpec, status: Status) -> BranchRecord {
    match pattern {
        Pattern::Tcc => implied_by_one_call_each(spec, status),
    }
}

/// Each leg was called once, as far as the status says that it was called.
fn implied_by_one_call_each(spec: &BranchSpec, status: Status) -> BranchRecord {
    let called = |op: Op, by_now: bool| u32::from(by_now && spec.url(op).is_some());
    let before_decision = match (spec.url(Op::Try), spec.try_by) {
        (None, TryBy::Coordinator) => BranchStatus::Tried,
        (Some(_), _) | (None, TryBy::Initiator) => BranchStatus::Registered,
    };
    let after_decision = match spec.try_by {
        TryBy::Coordinator => BranchStatus::Tried,
        TryBy::Initiator => BranchStatus::Registered,
    };
    BranchRecord {
        branch: spec.id.clone(),
        status: match status {
            Status::Trying => before_decision,
            Status::Confirming | Status::Cancelling => after_decision,
            Status::Confirmed => BranchStatus::Confirmed,
            Status::Cancelled => BranchStatus::Cancelled,
        },
        attempts: PerOp {
            try_: called(Op::Try, status.is_decided()),
            confirm: called(Op::Confirm, status == Status::Confirmed),
            cancel: called(Op::Cancel, status == Status::Cancelled),
        },
        parked: false,
        last_error: None,
        answer: None,
        last_answer: None,
        resolved_as: None,
        pending_resolution: None,
        contradicted: false,
        acknowledged_at: None,
    }
}

fn cancel(reason: Reason, branch: &Branch) -> Decision {
    let why = branch.last_error.as_deref().unwrap_or("no answer");
    let detail = format!("{}: {why}", branch.id());
    Decision::Cancel { reason, detail: Some(Arc::from(detail)) }
}
