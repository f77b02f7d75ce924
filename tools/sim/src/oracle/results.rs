//! P1 for results: whoever is called is told what is durable, and the same whenever it is told, by
//! whatever life; and it was really answered.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::invariants::call_follows_the_results;
use tercet_engine::{Commands, Event, Input, StoredTransaction};
use tercet_wire::{Answer, BranchId, Instance, Op, RESULTS_BYTES, Verdict, verdict};

use crate::coverage::Sometimes;
use crate::node::Running;
use crate::oracle::calls::is_under_way;
use crate::oracle::lives::LivesSeen;
use crate::rows::{Changed, Rows};
use crate::scheduler::Scheduler;

type OfBranch = (Instance, BranchId);

/// What was seen of results, in all lives.
#[derive(Debug, Default)]
pub(super) struct ResultsSeen {
    /// What each Try was answered with that a node has heard of.
    answered: BTreeMap<OfBranch, BTreeSet<String>>,
    /// What others were told of it, and by which life first.
    brought: BTreeMap<OfBranch, (String, u64)>,
}

impl ResultsSeen {
    pub(super) fn before(&mut self, event: &Event, running: &Running, scheduler: &mut Scheduler) {
        let Event::Input(Input::Answered(ticket, answer)) = event else { return };
        match answer {
            Answer::Result { result, .. } => {
                let of_branch = (ticket.instance, ticket.branch.clone());
                let answered = self.answered.entry(of_branch).or_default();
                answered.insert(result.as_json().to_owned());
                if answered.len() > 1 {
                    scheduler.saw(Sometimes::ResultAnsweredOtherwise);
                }
            }
            Answer::ResultTooLarge { .. } if is_under_way(ticket, running) => {
                scheduler.saw(Sometimes::ResultTooLarge);
                if verdict(ticket.op, answer) != Verdict::Refused {
                    scheduler.broke("what is too large was not refused");
                }
            }
            Answer::ResultTooLarge { .. }
            | Answer::Status { .. }
            | Answer::Nothing { .. }
            | Answer::NotAllowed { .. } => {}
        }
    }

    pub(super) fn after(
        &mut self,
        commands: &Commands,
        running: &Running,
        rows: &Rows,
        lives: &LivesSeen,
        scheduler: &mut Scheduler,
    ) {
        for call in &commands.calls {
            let ticket = &call.ticket;
            // Of one that is another's by now the rows may say more, and guards refuse its calls.
            if lives.is_anothers(&ticket.gid, running.life, rows) {
                continue;
            }
            scheduler.check(call_follows_the_results(call, rows.get(&ticket.gid)));
            for (branch, result) in call.brought().unwrap_or_default() {
                let of_branch = (ticket.instance, branch.clone());
                let told = result.as_json();
                let is_own = *branch == ticket.branch;
                scheduler.saw(match is_own {
                    true => Sometimes::OwnResultBrought,
                    false => Sometimes::ResultBrought,
                });
                if is_own && ticket.op == Op::Try {
                    scheduler.broke(format!("{}/{branch}: a Try brought its own", ticket.gid));
                }
                if !self.answered.get(&of_branch).is_some_and(|all| all.contains(told)) {
                    scheduler.broke(format!("{}/{branch}: nobody has answered that", ticket.gid));
                }
                let life = running.life;
                let first =
                    self.brought.entry(of_branch).or_insert_with(|| (told.to_owned(), life));
                if first.0 != told {
                    scheduler.broke(format!("{}/{branch}: another result than before", ticket.gid));
                }
                if ticket.attempt > 1 {
                    scheduler.saw(Sometimes::ResultBroughtAgain);
                }
                if first.1 != life {
                    scheduler.saw(Sometimes::ResultBroughtByAnotherLife);
                }
            }
        }
    }

    /// A batch changed the rows of a transaction.
    pub(super) fn written(changed: &Changed, scheduler: &mut Scheduler) {
        let Changed { before, after } = changed;
        let gid = &after.spec.gid;
        let durable = before.as_ref().map(|before| &before.results[..]).unwrap_or_default();
        // What the retention deletes is no batch of a node's.
        if durable.iter().any(|kept| after.result(&kept.branch) != Some(&kept.result)) {
            scheduler.broke(format!("{gid}: a result that was durable is not any more"));
        }
        if after.results.len() > durable.len() {
            scheduler.saw(Sometimes::ResultKept);
        }
        let bytes: usize = after.results.iter().map(|kept| kept.result.as_json().len()).sum();
        if bytes > RESULTS_BYTES {
            scheduler.broke(format!("{gid}: its results have {bytes} bytes"));
        }
        was_there_no_room(before.as_ref(), after, scheduler);
    }
}

/// A Try was refused since there was no room for what it was answered with.
fn was_there_no_room(
    before: Option<&StoredTransaction>,
    after: &StoredTransaction,
    scheduler: &mut Scheduler,
) {
    let is_decided_now = before.is_none_or(|before| before.decided.is_none());
    let is_too_large = after
        .branch_records
        .iter()
        .any(|row| row.last_error.as_deref() == Some("result-too-large"));
    if is_decided_now && is_too_large && after.decided.is_some() && !after.results.is_empty() {
        scheduler.saw(Sometimes::ResultsTooLarge);
    }
}
