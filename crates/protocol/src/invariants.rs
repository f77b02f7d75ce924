//! What must always hold, as named functions. The engine asserts those about one
//! transaction on every change; the model and the simulation check all of them.

use thiserror::Error;

use crate::engine::output::{Call, Refusal, Reply};
use crate::ids::{BranchId, Gid};
use crate::op::Op;
use crate::record::Decision;
use crate::stored::Stored;
use crate::transaction::{Phase, Transaction};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
pub enum Broken {
    /// P1.
    #[error("{op} of {gid}/{branch} left before it was durable")]
    CalledBeforeLogged {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
        /// The call.
        op: Op,
    },
    /// P2.
    #[error("the decision of {0} changed")]
    DecisionChanged(Gid),
    /// P3.
    #[error("the decision of {0} was told before it was durable")]
    ToldBeforeDecided(Gid),
    /// P4.
    #[error("{gid} took branch {branch} after the decision")]
    BranchAfterDecision {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
    },
    /// P7.
    #[error("{gid} finished although {branch} has not acknowledged")]
    FinishedTooEarly {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
    },
    /// Confirm was decided although a Try that the coordinator calls was not done.
    #[error("{gid} confirms although {branch} was not tried")]
    ConfirmedUntried {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
    },
}

/// P1 and P3 for calls: the branch is durable before any call, the decision before
/// Confirm or Cancel.
///
/// # Errors
/// The call left too early.
pub fn call_follows_the_journal(call: &Call, rows: Option<&Stored>) -> Result<(), Broken> {
    let ticket = &call.ticket;
    let durable = rows.filter(|rows| rows.spec.instance == ticket.instance).is_some_and(|rows| {
        let logged = rows.branches.iter().any(|branch| branch.id == ticket.branch);
        let decided = match ticket.op {
            Op::Try => true,
            Op::Confirm | Op::Cancel => {
                rows.decision().is_some_and(|decision| decision.op() == ticket.op)
            }
        };
        logged && decided
    });
    if durable {
        return Ok(());
    }
    let (gid, branch, op) = (ticket.gid.clone(), ticket.branch.clone(), ticket.op);
    Err(Broken::CalledBeforeLogged { gid, branch, op })
}

/// P3 for answers: whatever lets the reader conclude the decision is durable.
///
/// # Errors
/// The answer left too early.
pub fn reply_follows_the_journal(
    gid: &Gid,
    reply: &Reply,
    rows: Option<&Stored>,
) -> Result<(), Broken> {
    let told = match reply {
        Reply::Transaction { snapshot, .. } | Reply::Branch { snapshot, .. } => {
            snapshot.transaction.decision().map(Decision::op)
        }
        Reply::Refused(Refusal::AlreadyConfirmed) => Some(Op::Confirm),
        Reply::Refused(Refusal::AlreadyCancelled) => Some(Op::Cancel),
        Reply::Refused(_) => None,
    };
    let durable = rows.and_then(Stored::decision).map(Decision::op);
    match told {
        Some(told) if durable != Some(told) => Err(Broken::ToldBeforeDecided(gid.clone())),
        Some(_) | None => Ok(()),
    }
}

/// P2: once there is a decision it stays.
///
/// # Errors
/// It did not.
pub fn decision_is_final(before: &Stored, after: &Stored) -> Result<(), Broken> {
    match (before.decision(), after.decision()) {
        (None, _) => Ok(()),
        (Some(before), Some(after)) if before == after => Ok(()),
        (Some(_), _) => Err(Broken::DecisionChanged(before.spec.gid.clone())),
    }
}

/// What one change may do to a transaction.
///
/// # Errors
/// It did something else.
pub fn moved_rightly(before: &Transaction, after: &Transaction) -> Result<(), Broken> {
    let gid = || after.gid().clone();
    match (before.decided(), after.decided()) {
        (None, _) => {}
        (Some(was), Some(is)) if was == is => {}
        (Some(_), _) => return Err(Broken::DecisionChanged(gid())),
    }
    if before.decided().is_some()
        && let Some(late) = after.branches().get(before.branches().len())
    {
        return Err(Broken::BranchAfterDecision { gid: gid(), branch: late.id().clone() });
    }
    let tried_first = before.decided().is_some() || after.decision() != Some(&Decision::Confirm);
    let untried = after.branches().iter().find(|branch| branch.is_try_outstanding());
    if let (false, Some(branch)) = (tried_first, untried) {
        return Err(Broken::ConfirmedUntried { gid: gid(), branch: branch.id().clone() });
    }
    match after.phase() {
        Phase::Trying { .. } | Phase::Telling(_) => Ok(()),
        Phase::Finished { .. } => everyone_acknowledged(after),
    }
}

/// P7: a transaction that is finished has every acknowledgement.
///
/// # Errors
/// One is missing.
pub fn everyone_acknowledged(transaction: &Transaction) -> Result<(), Broken> {
    match transaction.branches().iter().find(|branch| !branch.is_done()) {
        None => Ok(()),
        Some(branch) => Err(Broken::FinishedTooEarly {
            gid: transaction.gid().clone(),
            branch: branch.id().clone(),
        }),
    }
}
