//! Initiators that are asked at the deadline: not before it, not while a Try has no answer, not after a
//! decision; and what they say is what becomes of it, unless somebody else has decided before.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{Ask, Call, Change, Decision, Event, Input, Record, StoredTransaction};
use tercet_wire::{
    BranchId, BranchStatus, Gid, Instance, Mono, Now, Op, Reason, Verdict, check_verdict,
};

use crate::coverage::Check;
use crate::initiators::{Initiators, Mark};
use crate::node::Running;
use crate::rows::Changed;
use crate::scheduler::Scheduler;

/// What was seen of it, in all lives.
#[derive(Debug, Default)]
pub(super) struct ChecksSeen {
    /// By which life each was asked first.
    asked: BTreeMap<Instance, u64>,
    /// Confirms that the rows do not give a reason for: who brought each about.
    confirmed_by: BTreeMap<Instance, By>,
    /// Of what a decision was asked for; it may be done once the journal has been read.
    asked_to_decide: BTreeSet<Gid>,
    /// Who might decide by what happens now, and of which transaction: those of others are due by
    /// themselves.
    now: Option<(By, Gid)>,
}

/// Who brings a decision about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Nobody: what is known calls for it.
    Itself,
    /// Somebody who asks for it.
    Request,
    /// What the initiator has answered.
    Answer,
}

impl ChecksSeen {
    pub(super) fn before(&mut self, event: &Event, running: &Running, scheduler: &mut Scheduler) {
        self.now = None;
        match event {
            Event::Input(Input::Answered(ticket, answer)) if ticket.asks => {
                self.now = Some((By::Answer, ticket.gid.clone()));
                let transaction = running.core().engine().transaction(&ticket.gid);
                let is_asked = transaction.is_some_and(|it| it.initiator().is_some());
                scheduler.saw(match check_verdict(answer) {
                    _ if !is_asked => Check::AnsweredAfterTheDecision,
                    Verdict::Done => Check::AnsweredCommitted,
                    Verdict::Refused => Check::AnsweredNever,
                    Verdict::InProgress(_) => Check::AnsweredNotYet,
                    Verdict::Again { .. } => Check::AnsweredUnknown,
                });
            }
            Event::Input(Input::NotSent(ticket, _)) if ticket.asks => {
                scheduler.saw(Check::NoRoomToAsk);
            }
            Event::Input(Input::Request(request)) => {
                if matches!(request.ask, Ask::Confirm | Ask::Cancel { .. }) {
                    self.now = Some((By::Request, request.gid.clone()));
                    self.asked_to_decide.insert(request.gid.clone());
                }
            }
            Event::Input(Input::Loaded(gid, _)) if self.asked_to_decide.contains(gid) => {
                self.now = Some((By::Request, gid.clone()));
            }
            Event::Input(_) | Event::Sync(_) | Event::Journal { .. } | Event::Fenced => {}
        }
    }

    /// After an event: who has decided what?
    pub(super) fn after(
        &mut self,
        records: &[Record],
        running: &Running,
        initiators: &Initiators,
        scheduler: &mut Scheduler,
    ) {
        let parts = records.iter().flat_map(|it| it.change.parts().map(move |part| (it, part)));
        for (record, change) in parts {
            let Change::Decided(decided) = change else { continue };
            let (gid, instance) = (&record.gid, record.instance);
            let transaction = running.core().engine().transaction(gid);
            if transaction.is_none_or(|transaction| transaction.spec().check().is_none()) {
                continue;
            }
            let by =
                self.now.as_ref().filter(|(_, of)| of == gid).map_or(By::Itself, |(by, _)| *by);
            if decided.decision == Decision::Confirm {
                self.confirmed_by.insert(instance, by);
            }
            let is_asked = self.asked.contains_key(&instance);
            let mark = initiators.mark(gid);
            match (by, decided.decision.op()) {
                (By::Itself, _) => {}
                (By::Request, op) if is_asked => scheduler.saw(match op {
                    Op::Confirm => Check::ConfirmedMeanwhile,
                    Op::Try | Op::Cancel => Check::CancelledMeanwhile,
                }),
                (By::Request, _) => {}
                (By::Answer, Op::Confirm) if matches!(mark, Some(Mark::Done { .. })) => {}
                (By::Answer, Op::Cancel) if mark == Some(Mark::Never) => {}
                (By::Answer, op) => {
                    scheduler.broke(format!("{gid}: {op}, and its initiator's book says {mark:?}"));
                }
            }
        }
    }

    /// A question leaves.
    pub(super) fn asks(
        &mut self,
        call: &Call,
        life: u64,
        (stored, deadline): (Option<&StoredTransaction>, Option<Mono>),
        now: Now,
        scheduler: &mut Scheduler,
    ) {
        let ticket = &call.ticket;
        let gid = &ticket.gid;
        let first = *self.asked.entry(ticket.instance).or_insert(life);
        scheduler.saw(match ticket.attempt {
            _ if first != life => Check::AskedAgainByAnotherLife,
            1 => Check::Asked,
            _ => Check::AskedAgain,
        });
        let Some(stored) = stored.filter(|stored| stored.spec.instance == ticket.instance) else {
            return scheduler
                .broke(format!("{gid}: its initiator is asked, and it is not durable"));
        };
        if stored.decided.is_some() {
            scheduler.broke(format!("{gid}: its initiator is asked after the decision"));
        }
        if deadline.is_some_and(|deadline| now.mono < deadline) {
            scheduler.broke(format!("{gid}: its initiator is asked before its deadline"));
        }
        if let Some(branch) = untried(stored) {
            scheduler.broke(format!("{gid}: its initiator is asked, and {branch} is not tried"));
        }
    }

    /// A batch changed a transaction's rows.
    pub(super) fn written(
        &self,
        changed: &Changed,
        initiators: &Initiators,
        scheduler: &mut Scheduler,
    ) {
        let Changed { before, after } = changed;
        let gid = &after.spec.gid;
        if after.spec.check().is_none() || before.as_ref().is_some_and(|it| it.decided.is_some()) {
            return;
        }
        let Some(decision) = after.decision() else { return };
        let (mark, instance) = (initiators.mark(gid), after.spec.instance);
        match decision {
            Decision::Confirm => {
                let by = self.confirmed_by.get(&instance);
                if matches!(by, None | Some(By::Itself)) {
                    scheduler.broke(format!("{gid}: confirmed, and nobody has said so"));
                }
                if mark == Some(Mark::Never) && by != Some(&By::Request) {
                    scheduler.broke(format!("{gid}: confirmed, and its initiator never did it"));
                }
            }
            Decision::Cancel { reason: Reason::Requested, .. } => {}
            Decision::Cancel { reason: Reason::Check, .. } => {
                if mark != Some(Mark::Never) {
                    scheduler.broke(format!("{gid}: cancelled since {mark:?} is its initiator's"));
                }
            }
            Decision::Cancel { reason, .. } => {
                if *reason == Reason::Deadline {
                    scheduler.saw(Check::TryUnanswered);
                    if untried(after).is_none() {
                        scheduler.broke(format!("{gid}: cancelled, and nobody was asked"));
                    }
                }
                // Whoever did its work when all was tried need not fear for it, unless somebody
                // has added to it since.
                if let Some(Mark::Done { branches }) = mark
                    && after.branches.len() <= branches
                {
                    scheduler.broke(format!("{gid}: {reason}, and its initiator has done it"));
                }
            }
        }
    }

    /// What of these was asked, is not decided and not in memory.
    pub(super) fn round_ended<'a>(
        &self,
        not_here: impl Iterator<Item = &'a StoredTransaction>,
        scheduler: &mut Scheduler,
    ) {
        let is_asked = |stored: &StoredTransaction| {
            stored.decided.is_none() && self.asked.contains_key(&stored.spec.instance)
        };
        if not_here.into_iter().any(is_asked) {
            scheduler.saw(Check::PagedOut);
        }
    }
}

/// A branch whose Try is the coordinator's and has no answer, as far as rows say.
fn untried(stored: &StoredTransaction) -> Option<&BranchId> {
    let is_tried = |id: &BranchId| {
        let mut of_branch = stored.branch_records.iter().filter(|row| row.branch == *id);
        of_branch.any(|row| row.status == BranchStatus::Tried) || stored.result(id).is_some()
    };
    let called = stored.branches.iter().filter(|branch| branch.url(Op::Try).is_some());
    called.map(|branch| &branch.id).find(|id| !is_tried(id))
}
