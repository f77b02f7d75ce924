//! From the journal's rows back to a transaction. No rules here: what is known is
//! read, everything that is needed is due now, and `settle` goes on from there.

use std::sync::Arc;

use crate::ids::BranchId;
use crate::record::Outcome;
use crate::spec::BranchSpec;
use crate::status::BranchStatus;
use crate::stored::Stored;
use crate::time::Now;
use crate::transaction::branch::{Branch, Calling, Standing, Troubles};
use crate::transaction::history::History;
use crate::transaction::{Phase, Step, Transaction, facts};

impl Transaction {
    /// The transaction that these rows describe.
    #[must_use]
    pub fn restore(stored: &Stored, now: Now) -> Self {
        let phase = match (&stored.decided, stored.finished_at) {
            (None, _) => Phase::Trying { deadline: now.mono_at(stored.spec.deadline_at) },
            (Some(decided), None) => Phase::Telling(decided.clone()),
            (Some(decided), Some(at)) => Phase::Finished { decided: decided.clone(), at },
        };
        let branches = stored.branches.iter().map(|spec| {
            let row = stored.outcomes.iter().find(|row| row.branch == spec.id);
            restore_branch(spec, stored, row, now)
        });
        let mut transaction = Self {
            spec: Arc::clone(&stored.spec),
            phase,
            branches: branches.collect(),
            history: History { lines: stored.history_len, by_hand: stored.history_by_hand },
        };
        transaction.acknowledge_absent_legs(&Step::new(now, &super::Rules::default()));
        transaction
    }

    /// Position of a branch.
    #[must_use]
    pub(crate) fn position(&self, id: &BranchId) -> Option<usize> {
        self.branches.iter().position(|branch| branch.id() == id)
    }
}

fn restore_branch(
    spec: &Arc<BranchSpec>,
    stored: &Stored,
    row: Option<&Outcome>,
    now: Now,
) -> Branch {
    let known = facts::read(spec, stored.status, row);
    let acknowledged_at = known.acknowledged_at.or(stored.finished_at);
    let standing = match (acknowledged_at, known.status) {
        (Some(at), _) => Standing::Done { at, unwritten_since: None },
        (None, BranchStatus::Registered) => Standing::Registered,
        (None, BranchStatus::Tried | BranchStatus::Confirmed | BranchStatus::Cancelled) => {
            Standing::Tried
        }
        (None, BranchStatus::Refused) => Standing::Refused,
    };
    let mut branch = Branch {
        spec: Arc::clone(spec),
        standing,
        calling: Calling::Idle,
        attempts: known.attempts,
        trouble: Troubles::default(),
        parked: known.parked && acknowledged_at.is_none(),
        last_error: known.last_error,
        answer: known.answer,
        resolved_as: known.resolved_as,
        ruling: None,
        row: row.cloned().map(Box::new),
    };
    let needs = branch.needs(stored.decision());
    if needs.is_some_and(|op| spec.url(op).is_some()) {
        branch.calling = Calling::Due(now.mono);
    }
    branch
}
