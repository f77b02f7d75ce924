//! A live transaction and those who wait for it.

use std::time::Duration;

use tercet_wire::{BranchId, Mono, Now, Op, ResolvedAs, Seq};

use crate::dispatch::Destination;
use crate::engine::capacity::WaitsAt;
use crate::engine::input::{ReplyTo, Until, Wait};
use crate::engine::live::Tally;
use crate::engine::output::{IfTaken, Refusal, Reply, ReplyKind, Snapshot};
use crate::engine::paging::{ASLEEP, Residence};
use crate::engine::timers::Timer;
use crate::record::Decision;
use crate::transaction::{Branch, BranchState, PausedNames, Phase, Rules, Transaction, already};

/// An initiator that has not spoken of its open transaction for so long is not about to.
const INITIATOR_PAUSE: Duration = Duration::from_secs(1);

/// A live transaction and those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LiveTransaction {
    pub(super) transaction: Transaction,
    pub(super) waiters: Vec<Waiter>,
    /// The last record that anything told of this transaction depends on.
    pub(super) release_after: Seq,
    /// The record by which it is finished, once it is.
    pub(super) finished_by: Option<Seq>,
    /// After a fault of ours nothing is done with it any more.
    pub(super) quarantined: Option<Fault>,
    /// What each part of the engine keeps of it; only that part changes it.
    pub(super) tally: Tally,
    pub(super) timer: Timer,
    pub(super) waits_at: WaitsAt,
    pub(super) residence: Residence,
}

/// Why a transaction is quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// Its rules failed, and memory holds what it was before: it can be shown.
    Rules,
    /// The journal cannot write its records. Memory holds what will never be durable, a
    /// decision perhaps, so not even a reader is told of it (P3).
    Journal,
}

/// Somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    pub(super) reply_to: ReplyTo,
    pub(super) purpose: Purpose,
    pub(super) wait: Wait,
    pub(super) since: Mono,
}

/// What was asked, as far as it shapes the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// Begin; whether it created the transaction.
    Begin { created: bool },
    /// Register; whether it created the branch.
    Register { branch: BranchId, created: bool },
    /// Register several at once; whether it created the branches.
    RegisterAtOnce { branches: Vec<BranchId>, created: bool },
    /// Confirm or cancel; whether the decision stood before.
    Decide { op: Op, repeat: bool },
    /// Resolve a branch by hand.
    Resolve { branch: BranchId, as_: ResolvedAs },
    /// Read.
    Read,
    /// What an operator does, which is answered as a read is.
    Act,
}

impl Purpose {
    pub(super) fn if_taken(&self) -> IfTaken {
        match self {
            Self::Begin { .. } => IfTaken::Begins,
            Self::Read => IfTaken::Reads,
            Self::Register { .. }
            | Self::RegisterAtOnce { .. }
            | Self::Decide { .. }
            | Self::Resolve { .. }
            | Self::Act => IfTaken::IsUnknown,
        }
    }
}

impl LiveTransaction {
    pub(super) fn new(transaction: Transaction) -> Self {
        Self {
            waiters: Vec::new(),
            release_after: Seq(0),
            finished_by: None,
            quarantined: None,
            tally: Tally::default(),
            timer: Timer::default(),
            waits_at: WaitsAt::default(),
            residence: Residence::default(),
            transaction,
        }
    }

    pub(super) fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    pub(super) fn release_after(&self) -> Seq {
        self.release_after
    }

    pub(super) fn is_quarantined(&self) -> bool {
        self.quarantined.is_some()
    }

    pub(super) fn next_due(&self, rules: &Rules) -> Option<Mono> {
        let give_ups = self.waiters.iter().map(|waiter| waiter.wait.give_up);
        // Nothing is done any more with one that is quarantined, but its readers do not wait for ever.
        let own = match self.quarantined {
            None => self.transaction.next_due(rules),
            Some(Fault::Rules | Fault::Journal) => None,
        };
        own.into_iter().chain(give_ups).min()
    }

    /// Where it waits for capacity and since when, and where it backs off after a call failed.
    pub(super) fn waits_at(
        &self,
        path_segments: usize,
    ) -> (Vec<(Destination, Mono)>, Vec<Destination>) {
        match self.quarantined {
            None => (self.transaction.waits_at(), self.transaction.backs_off_at(path_segments)),
            Some(Fault::Rules | Fault::Journal) => (Vec::new(), Vec::new()),
        }
    }

    /// Whether nothing is under way and nobody waits for an answer.
    pub(super) fn is_evictable(&self) -> bool {
        self.quarantined.is_none() && self.waiters.is_empty() && self.transaction.is_evictable()
    }

    /// From when on it may leave memory, if nothing happens to it: who has just spoken of an open
    /// transaction is about to speak of it again.
    pub(super) fn evictable_from(&self, now: Now) -> Option<Mono> {
        self.is_evictable().then(|| match self.transaction.phase() {
            Phase::Trying { .. } => now.mono.after(INITIATOR_PAUSE),
            // Before all that wait for somebody.
            Phase::SecondPhase(_) if self.transaction.is_asleep() => ASLEEP,
            Phase::SecondPhase(_) | Phase::Finished { .. } => now.mono,
        })
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiters.is_empty()
    }

    pub(super) fn nobody_waits_beyond(&mut self, moment: Mono) {
        for waiter in &mut self.waiters {
            waiter.wait.give_up = waiter.wait.give_up.min(moment);
        }
    }

    /// Whether this one waits here; from now on only until now.
    pub(super) fn stops_waiting(&mut self, reply_to: ReplyTo, now: Now) -> bool {
        let waiter = self.waiters.iter_mut().find(|waiter| waiter.reply_to == reply_to);
        waiter.map(|waiter| waiter.wait.give_up = now.mono).is_some()
    }

    /// Takes out the waiters that can be answered now.
    pub(super) fn take_answers(
        &mut self,
        paused: &PausedNames,
        now: Now,
    ) -> Vec<(ReplyTo, Reply, IfTaken)> {
        let transaction = &self.transaction;
        let mut answers = Vec::new();
        self.waiters.retain(|waiter| match answer(transaction, waiter, paused, now) {
            Some(reply) => {
                answers.push((waiter.reply_to, reply, waiter.purpose.if_taken()));
                false
            }
            None => true,
        });
        answers
    }

    /// Takes out those whom nothing can be told any more.
    pub(super) fn take_unanswerable(&mut self) -> Vec<ReplyTo> {
        let Some(fault) = self.quarantined else { return Vec::new() };
        let (hopeful, others) = self.waiters.drain(..).partition(|waiter: &Waiter| match fault {
            Fault::Rules => waiter.purpose == Purpose::Read,
            Fault::Journal => false,
        });
        self.waiters = hopeful;
        others.into_iter().map(|waiter| waiter.reply_to).collect()
    }

    /// Takes out everybody.
    pub(super) fn take_waiters(&mut self) -> Vec<ReplyTo> {
        self.waiters.drain(..).map(|waiter| waiter.reply_to).collect()
    }

    /// Takes out those for whom it has become too long since they asked.
    pub(super) fn take_late_waiters(&mut self, too_long: impl Fn(Mono) -> bool) -> Vec<ReplyTo> {
        let (late, others) =
            self.waiters.drain(..).partition(|waiter: &Waiter| too_long(waiter.since));
        self.waiters = others;
        late.into_iter().map(|waiter: Waiter| waiter.reply_to).collect()
    }
}

/// The answer, if what is waited for has come or the wait has run out.
pub(super) fn answer(
    transaction: &Transaction,
    waiter: &Waiter,
    paused: &PausedNames,
    now: Now,
) -> Option<Reply> {
    let created = match &waiter.purpose {
        Purpose::Begin { created }
        | Purpose::Register { created, .. }
        | Purpose::RegisterAtOnce { created, .. } => *created,
        Purpose::Decide { .. } | Purpose::Resolve { .. } | Purpose::Read | Purpose::Act => false,
    };
    let told = match wait_result(transaction, waiter) {
        WaitResult::Yes if created => ReplyKind::Created,
        WaitResult::Yes => ReplyKind::Reached,
        WaitResult::OnlyAccepted => ReplyKind::NotYet,
        WaitResult::Never(refusal) => return Some(Reply::Refused(refusal)),
        WaitResult::No if now.mono < waiter.wait.give_up => return None,
        // A read has nothing to be created or accepted: it shows what there is.
        WaitResult::No if matches!(waiter.purpose, Purpose::Read | Purpose::Act) => {
            ReplyKind::Reached
        }
        WaitResult::No => ReplyKind::NotYet,
    };
    let (transaction, paused) = (transaction.clone(), paused.clone());
    let snapshot = Snapshot { transaction, at: now, paused };
    Some(match &waiter.purpose {
        Purpose::Register { branch, .. } => {
            Reply::Branch { told, snapshot, branch: branch.clone() }
        }
        Purpose::RegisterAtOnce { branches, .. } => {
            Reply::Branches { told, snapshot, branches: branches.clone() }
        }
        Purpose::Begin { .. }
        | Purpose::Decide { .. }
        | Purpose::Resolve { .. }
        | Purpose::Read
        | Purpose::Act => Reply::Transaction { told, snapshot },
    })
}

enum WaitResult {
    Yes,
    No,
    /// All that was waited for is that the request is taken; the rest is still to come.
    OnlyAccepted,
    Never(Refusal),
}

impl From<bool> for WaitResult {
    fn from(came: bool) -> Self {
        if came { Self::Yes } else { Self::No }
    }
}

fn wait_result(transaction: &Transaction, waiter: &Waiter) -> WaitResult {
    let status = transaction.status();
    let reached = match waiter.wait.until {
        Until::Accepted => true,
        // Only a registration waits for a Try; it looks at its own branch below.
        Until::Tried | Until::Decided => status.is_decided(),
        Until::Finished => status.is_finished(),
    };
    match &waiter.purpose {
        Purpose::Read | Purpose::Act => reached.into(),
        // An open transaction waits for its initiator, not the other way round.
        Purpose::Begin { .. } => (transaction.spec().open || reached).into(),
        Purpose::Decide { op, repeat } => match transaction.decision() {
            None => WaitResult::No,
            Some(decision) if decision.op() != *op => WaitResult::Never(already(decision)),
            Some(_) if waiter.wait.until == Until::Accepted && !repeat => WaitResult::OnlyAccepted,
            Some(_) => reached.into(),
        },
        Purpose::Resolve { branch, as_ } => resolution_result(transaction, branch, *as_),
        Purpose::Register { branch, .. } => match waiter.wait.until {
            Until::Accepted => WaitResult::Yes,
            Until::Tried | Until::Decided | Until::Finished => try_result(transaction, branch),
        },
        Purpose::RegisterAtOnce { branches, .. } => match waiter.wait.until {
            Until::Accepted => WaitResult::Yes,
            Until::Tried | Until::Decided | Until::Finished => try_results(transaction, branches),
        },
    }
}

/// An acknowledgement that came first wins, and so does an earlier word.
fn resolution_result(transaction: &Transaction, id: &BranchId, as_: ResolvedAs) -> WaitResult {
    match transaction.branch(id) {
        Some(branch) if branch.resolved_as() == Some(as_) => WaitResult::Yes,
        Some(branch) if branch.is_done() => WaitResult::Never(Refusal::AlreadyFinished(id.clone())),
        Some(_) | None => WaitResult::No,
    }
}

/// Of several: all were tried; or one of them was refused, which is the answer to all.
fn try_results(transaction: &Transaction, ids: &[BranchId]) -> WaitResult {
    let was_refused = |id: &BranchId| {
        let is_cancelled = matches!(transaction.decision(), Some(Decision::Cancel { .. }));
        is_cancelled && transaction.branch(id).is_some_and(Branch::was_refused)
    };
    if ids.iter().any(was_refused) {
        return WaitResult::Yes;
    }
    for id in ids {
        match try_result(transaction, id) {
            WaitResult::Yes => {}
            other @ (WaitResult::No | WaitResult::OnlyAccepted | WaitResult::Never(_)) => {
                return other;
            }
        }
    }
    WaitResult::Yes
}

fn try_result(transaction: &Transaction, id: &BranchId) -> WaitResult {
    let Some(branch) = transaction.branch(id) else {
        debug_assert!(false, "a registration waits for {id}, which is not there");
        return WaitResult::No;
    };
    if branch.is_try_outstanding() {
        // Its Try will not be asked for any more once the decision is taken.
        return match transaction.decision() {
            None => WaitResult::No,
            Some(decision) => WaitResult::Never(already(decision)),
        };
    }
    match (branch.state(), transaction.decision()) {
        // What has no Try is tried when its turn comes.
        (BranchState::Tried, None) if !transaction.is_in_turn(id) => WaitResult::No,
        (BranchState::Refused, None) => WaitResult::No,
        (BranchState::Refused, Some(_)) | (BranchState::Registered | BranchState::Tried, _) => {
            WaitResult::Yes
        }
        (BranchState::Done { .. }, None | Some(Decision::Confirm)) => WaitResult::Yes,
        // Without a Cancel leg it is done as soon as it is refused; the answer is kept.
        (BranchState::Done { .. }, Some(decision @ Decision::Cancel { .. })) => {
            if branch.try_was_answered() {
                WaitResult::Yes
            } else {
                WaitResult::Never(already(decision))
            }
        }
    }
}
