//! Participants that are paused: nothing fails and nobody is shown to people for it. That nobody is
//! called there is seen where calls are made, and that all goes on afterwards at rest.

use tercet_engine::{Change, Event, Input, OutageNews, Record};
use tercet_wire::{BranchId, CallOp, EventKind, Gid, Op, host_port};

use crate::coverage::Pausing;
use crate::node::Running;
use crate::scheduler::Scheduler;

/// What the event under way is.
#[derive(Debug, Default)]
pub(super) struct PausesSeen {
    only_time_passes: bool,
}

impl PausesSeen {
    pub(super) fn before(&mut self, event: &Event) {
        self.only_time_passes = matches!(event, Event::Input(Input::Tick));
    }

    pub(super) fn after(&self, records: &[Record], running: &Running, scheduler: &mut Scheduler) {
        if running.dispatch.paused().is_empty() {
            return;
        }
        let parts = records.iter().flat_map(|it| it.change.parts().map(move |part| (it, part)));
        for (record, change) in parts {
            let Change::History(line) = change else { continue };
            let (Some(branch), Some(op)) = (&line.branch, line.op) else { continue };
            let (gid, is_of_time) = (&record.gid, self.only_time_passes);
            let is_wrong = match line.kind {
                EventKind::Parked => true,
                // What was under way may end.
                EventKind::CallFailed => is_of_time,
                _ => false,
            };
            if is_wrong && is_paused(gid, branch, op, running) {
                let kind = line.kind;
                scheduler.broke(format!("{gid}/{branch}: {kind} although {op} is paused"));
            }
        }
    }

    /// People are told that a participant does not answer, or does again.
    pub(super) fn told(news: &OutageNews, running: &Running, scheduler: &mut Scheduler) {
        if let OutageNews::Unreachable { participant, .. } = news
            && running.dispatch.paused().contains(participant)
        {
            scheduler.broke(format!("{participant} is paused and told as unreachable"));
        }
    }

    /// After a round: what waits for nothing but to be resumed.
    pub(super) fn round_ended(running: &Running, scheduler: &mut Scheduler) {
        if !running.dispatch.paused().is_empty() && running.core().census().paged_out > 0 {
            scheduler.saw(Pausing::PagedOutMeanwhile);
        }
    }
}

fn is_paused(gid: &Gid, id: &BranchId, op: CallOp, running: &Running) -> bool {
    let Some(transaction) = running.core().engine().transaction(gid) else { return false };
    let callee = match op {
        CallOp::Leg(op) => transaction.branch(id).map(|branch| (branch, op)),
        CallOp::Check => transaction.initiator().map(|initiator| (initiator, Op::Try)),
    };
    let url = callee.and_then(|(callee, op)| callee.spec().url(op));
    url.is_some_and(|url| running.dispatch.paused().contains(&host_port(url)))
}
