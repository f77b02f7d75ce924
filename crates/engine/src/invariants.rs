//! What must always hold, as named functions. The engine asserts those about one
//! transaction on every change; the model and the simulation check all of them.

use tercet_wire::{BranchId, BranchSpec, BranchStatus, Gid, Now, Op, Order, Pattern};
use thiserror::Error;

use crate::engine::output::{Call, Refusal, Reply};
use crate::record::Decision;
use crate::stored::StoredTransaction;
use crate::transaction::{Branch, CallState, Phase, Transaction};

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
    /// P1.
    #[error("{op} of {gid}/{branch} left for where its rows do not say")]
    CalledElsewhere {
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
    /// An operator's word was told, and a crash would forget it.
    #[error("{gid}/{branch} was told to be resolved before that was durable")]
    ToldBeforeResolved {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
    },
    /// A branch was resolved by hand where nothing may be, or is not what it was resolved as.
    #[error("{gid}/{branch}: {what}")]
    WronglyResolved {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
        /// In what way.
        what: &'static str,
    },
    /// A branch was called before it had its turn.
    #[error("{op} of {gid}/{branch} left before what comes first was durably done")]
    CalledOutOfTurn {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
        /// The call.
        op: Op,
    },
    /// A call brought other results than those that are durable of whoever came before.
    #[error("{op} of {gid}/{branch} left with other results than are durable: {what}")]
    WrongResults {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
        /// The call.
        op: Op,
        /// In what way.
        what: String,
    },
    /// A Confirm that was put off was called before its time.
    #[error("confirm of {gid}/{branch} left before its time")]
    CalledTooEarly {
        /// The transaction.
        gid: Gid,
        /// The branch.
        branch: BranchId,
    },
    /// Of branches that were registered at once only some are there.
    #[error("{0} has some of the branches that were registered at once, and not all")]
    RegisteredInPart(Gid),
    /// An initiator is asked although there is a decision, or a Try has no answer.
    #[error("the initiator of {0} is asked, and it is not for it to say")]
    WronglyAsked(Gid),
    /// An index of the engine does not say what its live transactions say.
    #[error("{part}: {why}")]
    IndexDisagrees {
        /// The part of the engine.
        part: &'static str,
        /// In what way.
        why: String,
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
pub fn call_follows_the_journal(
    call: &Call,
    rows: Option<&StoredTransaction>,
) -> Result<(), Broken> {
    let ticket = &call.ticket;
    let durable = rows.filter(|rows| rows.spec.instance == ticket.instance).is_some_and(|rows| {
        if ticket.asks {
            return rows.spec.check().is_some() && rows.decision().is_none();
        }
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

/// P1 for where it goes: a branch is called at the URLs and with the headers that its rows have.
///
/// # Errors
/// It left for where it is called no more, or not yet.
pub fn call_goes_where_the_journal_says(
    call: &Call,
    rows: Option<&StoredTransaction>,
) -> Result<(), Broken> {
    let ticket = &call.ticket;
    let rows = rows.filter(|rows| rows.spec.instance == ticket.instance && !ticket.asks);
    let mut known = rows.into_iter().flat_map(|rows| &rows.branches);
    match known.find(|known| known.id == ticket.branch) {
        Some(known)
            if (&known.urls, &known.headers) != (&call.branch.urls, &call.branch.headers) =>
        {
            let (gid, branch, op) = (ticket.gid.clone(), ticket.branch.clone(), ticket.op);
            Err(Broken::CalledElsewhere { gid, branch, op })
        }
        Some(_) | None => Ok(()),
    }
}

/// Sagas: a Try once those of all branches before it are durably done, a Confirm once theirs are, a
/// Cancel once those of all branches after it are; and none for what cannot have been tried.
///
/// # Errors
/// The call left too early.
pub fn call_follows_the_order(call: &Call, rows: Option<&StoredTransaction>) -> Result<(), Broken> {
    let ticket = &call.ticket;
    let in_order = |rows: &&StoredTransaction| rows.spec.pattern == Pattern::Saga && !ticket.asks;
    let Some(rows) = rows.filter(in_order) else { return Ok(()) };
    let order = Order::of(&rows.branches);
    let row = |id: &BranchId| rows.branch_records.iter().find(|row| row.branch == *id);
    let is_done = |position: usize| {
        let Some(other) = rows.branches.get(position) else { return false };
        match ticket.op {
            Op::Try => {
                other.url(Op::Try).is_none()
                    || row(&other.id).is_some_and(|row| row.status == BranchStatus::Tried)
            }
            Op::Confirm | Op::Cancel => {
                let ended = row(&other.id).is_some_and(|row| {
                    row.acknowledged_at.is_some() || row.status == BranchStatus::Skipped
                });
                // What has no such leg is done when its turn comes, and its turn has come if it is
                // that of this one.
                ended || other.url(ticket.op).is_none()
            }
        }
    };
    let position = rows.branches.iter().position(|branch| branch.id == ticket.branch);
    let was_skipped = row(&ticket.branch).is_some_and(|row| row.status == BranchStatus::Skipped);
    let in_turn = position.is_some_and(|position| match ticket.op {
        Op::Try | Op::Confirm => order.before(position).all(is_done),
        Op::Cancel => order.after(position).all(is_done) && !was_skipped,
    });
    if in_turn {
        return Ok(());
    }
    let (gid, branch, op) = (ticket.gid.clone(), ticket.branch.clone(), ticket.op);
    Err(Broken::CalledOutOfTurn { gid, branch, op })
}

/// A Confirm that is put off: not before so long after the decision, by the clock that both are
/// seen by.
///
/// # Errors
/// The call left too early.
pub fn call_follows_its_delay(
    call: &Call,
    rows: Option<&StoredTransaction>,
    now: Now,
) -> Result<(), Broken> {
    let ticket = &call.ticket;
    let decided = rows.and_then(|rows| rows.decided.as_ref());
    let (Some(delay), Some(decided), Op::Confirm) =
        (call.branch.confirm_after(), decided, ticket.op)
    else {
        return Ok(());
    };
    if now.wall >= decided.at.after(delay) {
        return Ok(());
    }
    let (gid, branch) = (ticket.gid.clone(), ticket.branch.clone());
    Err(Broken::CalledTooEarly { gid, branch })
}

/// Branches that were registered at once: all of them are there, or none. Their fingerprints say
/// who belongs together, not how many they were, so whoever asks knows that there are two of each.
///
/// # Errors
/// One is alone.
pub fn several_came_whole(rows: &StoredTransaction) -> Result<(), Broken> {
    let among = |branch: &BranchSpec| branch.fingerprint.among_whom().map(str::to_owned);
    let all: Vec<String> = rows.branches.iter().filter_map(|branch| among(branch)).collect();
    let is_alone = |one: &String| all.iter().filter(|other| *other == one).count() < 2;
    match all.iter().any(is_alone) {
        true => Err(Broken::RegisteredInPart(rows.spec.gid.clone())),
        false => Ok(()),
    }
}

/// P1 for results: a call brings just what is durable of the branches that come before its own and
/// were tried, and in Confirm and Cancel of its own; and nothing where its branch asks for nothing.
///
/// # Errors
/// It does not.
pub fn call_follows_the_results(
    call: &Call,
    rows: Option<&StoredTransaction>,
) -> Result<(), Broken> {
    let wrong = |what: String| {
        let (gid, branch) = (call.ticket.gid.clone(), call.ticket.branch.clone());
        Err(Broken::WrongResults { gid, branch, op: call.ticket.op, what })
    };
    let brought = match (call.branch.results(), call.brought()) {
        (false, None) => return Ok(()),
        (false, Some(_)) => return wrong("nobody asks for any".to_owned()),
        (true, None) => return wrong("it brings none".to_owned()),
        (true, Some(brought)) => brought,
    };
    let Some(rows) = rows else { return wrong("nothing is durable".to_owned()) };
    let order = (rows.spec.pattern == Pattern::Saga).then(|| Order::of(&rows.branches));
    let own = rows.branches.iter().position(|branch| branch.id == call.ticket.branch);
    let is_told = |position: usize| match own {
        Some(own) if own == position => call.ticket.op != Op::Try,
        Some(own) => order.as_ref().is_some_and(|order| order.before(own).any(|it| it == position)),
        None => false,
    };
    // Those with a Try that the coordinator calls: others are answered nothing.
    let told = rows.branches.iter().enumerate().filter(|(position, branch)| {
        is_told(*position) && branch.url(Op::Try).is_some() && was_tried(rows, &branch.id)
    });
    let mut brought = brought.iter();
    for (_, branch) in told {
        let Some(durable) = rows.result(&branch.id) else {
            return wrong(format!("{} was tried, and its result is lost", branch.id));
        };
        if brought.next().is_none_or(|(id, result)| *id != branch.id || result != durable) {
            return wrong(format!("not that of {}", branch.id));
        }
    }
    brought.next().map_or(Ok(()), |(id, _)| wrong(format!("{id} has none")))
}

/// Whether the rows say that the Try of a branch was done. Of one that has acknowledged the decision
/// they say that alone.
fn was_tried(rows: &StoredTransaction, id: &BranchId) -> bool {
    let row = rows.branch_records.iter().find(|row| row.branch == *id);
    let row = row.filter(|row| row.acknowledged_at.is_none());
    match (row.map(|row| row.status), rows.result(id)) {
        (_, Some(_)) | (Some(BranchStatus::Tried), None) => true,
        (
            Some(
                BranchStatus::Registered
                | BranchStatus::Refused
                | BranchStatus::Skipped
                | BranchStatus::Confirmed
                | BranchStatus::Cancelled,
            )
            | None,
            None,
        ) => false,
    }
}

/// P3 for answers: whatever lets the reader conclude the decision is durable.
///
/// # Errors
/// The answer left too early.
pub fn reply_follows_the_journal(
    gid: &Gid,
    reply: &Reply,
    rows: Option<&StoredTransaction>,
) -> Result<(), Broken> {
    let told = match reply {
        Reply::Transaction { snapshot, .. }
        | Reply::Branch { snapshot, .. }
        | Reply::Branches { snapshot, .. } => snapshot.transaction.decision().map(Decision::op),
        Reply::Refused(Refusal::AlreadyConfirmed) => Some(Op::Confirm),
        Reply::Refused(Refusal::AlreadyCancelled) => Some(Op::Cancel),
        Reply::Refused(_) => None,
    };
    let durable = rows.and_then(StoredTransaction::decision).map(Decision::op);
    match told {
        Some(told) if durable != Some(told) => Err(Broken::ToldBeforeDecided(gid.clone())),
        Some(_) | None => resolution_follows_the_journal(gid, reply, rows),
    }
}

/// What an operator made of a branch is durable before anybody is told: unlike an
/// acknowledgement it could not be had again by asking the participant.
fn resolution_follows_the_journal(
    gid: &Gid,
    reply: &Reply,
    rows: Option<&StoredTransaction>,
) -> Result<(), Broken> {
    let (Reply::Transaction { snapshot, .. }
    | Reply::Branch { snapshot, .. }
    | Reply::Branches { snapshot, .. }) = reply
    else {
        return Ok(());
    };
    let branch_records = rows.map(|rows| &rows.branch_records[..]).unwrap_or_default();
    let is_durable = |branch: &&Branch| {
        let row = branch_records.iter().find(|row| row.branch == *branch.id());
        row.and_then(|row| row.resolved_as) == branch.resolved_as()
    };
    let mut resolved =
        snapshot.transaction.branches().iter().filter(|branch| branch.resolved_as().is_some());
    match resolved.find(|branch| !is_durable(branch)) {
        None => Ok(()),
        Some(branch) => {
            let (gid, branch) = (gid.clone(), branch.id().clone());
            Err(Broken::ToldBeforeResolved { gid, branch })
        }
    }
}

/// P2: once there is a decision it stays.
///
/// # Errors
/// It did not.
pub fn decision_is_final(
    before: &StoredTransaction,
    after: &StoredTransaction,
) -> Result<(), Broken> {
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
    for (position, branch) in after.branches().iter().enumerate() {
        let before_it = before.branches().get(position);
        if let Some(what) = resolved_wrongly(before_it, branch, after.decided().is_some()) {
            let branch = branch.id().clone();
            return Err(Broken::WronglyResolved { gid: gid(), branch, what });
        }
    }
    if after.initiator().is_some() && (after.decided().is_some() || untried.is_some()) {
        return Err(Broken::WronglyAsked(gid()));
    }
    match after.phase() {
        Phase::Trying { .. } | Phase::SecondPhase(_) => Ok(()),
        Phase::Finished { .. } => everyone_acknowledged(after),
    }
}

/// What is wrong with how an operator's word moved a branch, if anything.
fn resolved_wrongly(
    before: Option<&Branch>,
    after: &Branch,
    decided: bool,
) -> Option<&'static str> {
    let was = before.and_then(Branch::resolved_as);
    match after.resolved_as() {
        None => was.map(|_| "an operator's word was taken back"),
        Some(_) if !decided => Some("resolved before the decision"),
        Some(_) if !after.is_done() => Some("resolved and not done"),
        Some(_) if *after.call_state() != CallState::Idle => Some("resolved and still called"),
        Some(is) if was.is_some_and(|was| was != is) => Some("resolved twice"),
        Some(_) if was.is_none() && before.is_some_and(Branch::is_done) => {
            Some("resolved although it had ended")
        }
        Some(_) => None,
    }
}

/// P7: a transaction that is finished has every acknowledgement, or an operator's word.
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
