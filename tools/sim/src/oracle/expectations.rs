//! What was told: P3 and P7 as whoever asks sees them.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{
    Decision, Refusal, Reply, ReplyKind as Word, Transaction,
    invariants::{reply_follows_the_journal, several_came_whole},
};
use tercet_wire::{BranchId, Gid, Instance, Op};

use crate::content::service_of;
use crate::coverage::{Check, Sometimes, Together};
use crate::rows::Rows;
use crate::scheduler::Scheduler;
use crate::service::Service;

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    decisions: BTreeMap<Instance, Op>,
    /// Which instance, and when that was told first.
    exist: BTreeMap<Gid, (Instance, u64)>,
    created: BTreeSet<(Instance, Option<BranchId>)>,
    /// By a node in its present life: an end may be told before it is durable, and then a crash goes back
    /// behind it; nobody sees it go back without one.
    finished: BTreeSet<(usize, Gid)>,
}

impl Expectations {
    /// The coordinator has started again.
    pub(super) fn new_life(&mut self, node: usize) {
        self.finished.retain(|(by, _)| *by != node);
    }

    /// A reply to a request about this gid leaves.
    pub(super) fn reply(
        &mut self,
        node: usize,
        (gid, asked_at): (&Gid, u64),
        reply: &Reply,
        rows: &Rows,
        services: &[Service],
        scheduler: &mut Scheduler,
    ) {
        scheduler.check(reply_follows_the_journal(gid, reply, rows.get(gid)));
        match reply {
            Reply::Transaction { told, snapshot } => {
                let transaction = &snapshot.transaction;
                self.told((node, *told), None, transaction, rows, services, scheduler);
            }
            Reply::Branch { told, snapshot, branch } => {
                let (transaction, branch) = (&snapshot.transaction, Some(branch.clone()));
                self.told((node, *told), branch, transaction, rows, services, scheduler);
            }
            Reply::Branches { told, snapshot, branches } => {
                let transaction = &snapshot.transaction;
                // Created together, so that of the first alone is looked at.
                let first = branches.first().cloned();
                self.told((node, *told), first, transaction, rows, services, scheduler);
                if let Some(stored) = rows.get(gid) {
                    scheduler.check(several_came_whole(stored));
                }
            }
            Reply::Refused(Refusal::OfSeveral { refusal, .. }) => {
                self.refused(gid, asked_at, refusal, rows, scheduler);
            }
            Reply::Refused(refusal) => self.refused(gid, asked_at, refusal, rows, scheduler),
        }
    }

    fn refused(
        &mut self,
        gid: &Gid,
        asked_at: u64,
        refusal: &Refusal,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        let (seen, op) = match refusal {
            Refusal::GidReused => (Sometimes::GidReused, None),
            Refusal::AlreadyConfirmed => (Sometimes::AlreadyConfirmed, Some(Op::Confirm)),
            Refusal::AlreadyCancelled => (Sometimes::AlreadyCancelled, Some(Op::Cancel)),
            Refusal::NotOpen => (Sometimes::NotOpen, None),
            Refusal::AsksItsInitiator => return scheduler.saw(Check::RegisteredMeanwhile),
            Refusal::TriesOutstanding(_) => (Sometimes::TriesOutstanding, None),
            Refusal::TooManyBranches { .. } => (Sometimes::TooManyBranches, None),
            Refusal::TooManyTransactions { .. } => (Sometimes::TooManyTransactions, None),
            Refusal::JournalUnavailable => (Sometimes::JournalUnavailable, None),
            Refusal::NotAccepted => (Sometimes::NotAccepted, None),
            Refusal::NotFound => {
                // One node may look while another begins it; who asks after that was told finds it.
                let is_alone = !scheduler.is_cluster();
                if self.exist.get(gid).is_some_and(|(_, told)| is_alone || *told < asked_at) {
                    scheduler.broke(format!("{gid} was told to exist, and then not to be found"));
                }
                (Sometimes::NotFound, None)
            }
            Refusal::TooManyPagedOut { .. } => (Sometimes::TooManyPagedOut, None),
            Refusal::Quarantined => (Sometimes::Quarantined, None),
            Refusal::Elsewhere(owner) => {
                scheduler.saw(Together::Elsewhere);
                if !scheduler.is_cluster() {
                    scheduler.broke(format!("{gid} is {owner:?}'s, and there is one node"));
                }
                return;
            }
            Refusal::TooManyBytes { .. }
            | Refusal::Held
            | Refusal::NotDecided
            | Refusal::NothingToDo(_)
            | Refusal::AlreadyFinished(_)
            | Refusal::ResolvedOtherwise(..)
            | Refusal::BranchNotFound(_) => return,
            // Somebody else has registered one of them alone, or the other way round.
            Refusal::BranchAmongOthers(_) => (Sometimes::AmongOthers, None),
            Refusal::OfSeveral { .. } => return,
            // A step was registered before the one that it comes after.
            Refusal::Unfit(_) => (Sometimes::StepTooEarly, None),
            // Nobody here registers two contents under one id.
            Refusal::BranchReused(branch) => {
                return scheduler.broke(format!("{gid}/{branch} was told to be reused"));
            }
        };
        scheduler.saw(seen);
        if let (Some(op), Some(stored)) = (op, rows.get(gid)) {
            self.one_decision(gid, stored.spec.instance, op, scheduler);
        }
    }

    fn told(
        &mut self,
        (node, word): (usize, Word),
        branch: Option<BranchId>,
        transaction: &Transaction,
        rows: &Rows,
        services: &[Service],
        scheduler: &mut Scheduler,
    ) {
        let (gid, instance) = (transaction.gid(), transaction.instance());
        let Some(stored) = rows.get(gid).filter(|stored| stored.spec.instance == instance) else {
            return scheduler.broke(format!("{gid} was told of and is not durable"));
        };
        if let Some(branch) = &branch
            && !stored.branches.iter().any(|logged| logged.id == *branch)
        {
            scheduler.broke(format!("{gid}/{branch} was told of and is not durable"));
        }
        let (other, _) = *self.exist.entry(gid.clone()).or_insert((instance, scheduler.now));
        if other != instance {
            scheduler.broke(format!("{gid} was told to be {other}, then {instance}"));
        }
        match word {
            Word::Created => {
                if !self.created.insert((instance, branch)) {
                    scheduler.broke(format!("{gid} was told created twice"));
                }
            }
            Word::Reached => {}
            Word::NotYet => scheduler.saw(Sometimes::NotYet),
        }
        if let Some(op) = transaction.decision().map(Decision::op) {
            if stored.decision().map(Decision::op) != Some(op) {
                scheduler.broke(format!("the decision of {gid} was told before it was durable"));
            }
            self.one_decision(gid, instance, op, scheduler);
        }
        if transaction.status().is_finished() {
            self.finished.insert((node, gid.clone()));
            everyone_acknowledged(transaction, services, scheduler);
        } else if self.finished.contains(&(node, gid.clone())) {
            scheduler.broke(format!("{gid} was told finished, and then not"));
        }
    }

    fn one_decision(&mut self, gid: &Gid, instance: Instance, op: Op, scheduler: &mut Scheduler) {
        let first = *self.decisions.entry(instance).or_insert(op);
        if first != op {
            scheduler.broke(format!("of {gid} some were told {first}, others {op}"));
        }
    }
}

/// P7, from outside: finished means that every participant says so.
fn everyone_acknowledged(
    transaction: &Transaction,
    services: &[Service],
    scheduler: &mut Scheduler,
) {
    let Some(op) = transaction.decision().map(Decision::op) else { return };
    let (gid, instance) = (transaction.gid(), transaction.instance());
    for branch in transaction.branches() {
        let spec = branch.spec();
        if spec.url(op).is_none() || branch.resolved_as().is_some() {
            continue;
        }
        let business = services.get(service_of(spec)).map(|service| &service.business);
        let acknowledged =
            business.and_then(|business| business.acknowledged(gid, instance, branch.id()));
        if branch.is_skipped() {
            scheduler.saw(Sometimes::StepSkipped);
            if acknowledged.is_some() {
                scheduler.broke(format!("{gid}/{} was told skipped, and was called", spec.id));
            }
            continue;
        }
        if acknowledged != Some(op) {
            scheduler
                .broke(format!("{gid} was told finished, but {} has not done its {op}", spec.id));
        }
    }
}
