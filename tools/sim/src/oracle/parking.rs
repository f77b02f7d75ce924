//! Whoever has waited for the answer it needs for as long as it may is shown to people, within a
//! millisecond and however it waits; and whoever says that it is at it is not.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{Change, Event, Input, Load, Record};
use tercet_wire::{BranchId, Gid, Mono, Now, Op, Pattern, Verdict, verdict};

use crate::coverage::Sometimes;
use crate::node::Running;
use crate::oracle::calls::is_under_way;
use crate::scheduler::Scheduler;

/// Since when each branch of this life waits.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    life: u64,
    since: BTreeMap<(Gid, BranchId), Mono>,
    only_time_passes: bool,
    /// Who has just said that it is at it.
    is_at_it: Option<(Gid, BranchId)>,
}

impl Parking {
    pub(super) fn before(&mut self, event: &Event, running: &Running, now: Now) {
        if self.life != running.life {
            *self = Self { life: running.life, ..Self::default() };
        }
        self.only_time_passes = matches!(event, Event::Input(Input::Tick));
        self.is_at_it = None;
        match event {
            Event::Input(Input::Adopt(stored) | Input::Loaded(_, Load::Found(stored)))
                if stored.status.is_decided() =>
            {
                for branch in &stored.branches {
                    let branch = (stored.spec.gid.clone(), branch.id.clone());
                    self.since.entry(branch).or_insert(now.mono);
                }
            }
            Event::Input(Input::Answered(ticket, answer)) if is_under_way(ticket, running) => {
                let (Verdict::InProgress(pause), Op::Confirm | Op::Cancel) =
                    (verdict(ticket.op, answer), ticket.op)
                else {
                    return;
                };
                let branch = (ticket.gid.clone(), ticket.branch.clone());
                self.since.insert(branch.clone(), now.mono.after(pause));
                self.is_at_it = Some(branch);
            }
            // What was begun here was never written.
            Event::Input(Input::Exists(gid)) => self.since.retain(|(of, _), _| of != gid),
            Event::Input(_) | Event::Sync(_) | Event::Journal { .. } | Event::Fenced => {}
        }
    }

    pub(super) fn after(
        &mut self,
        records: &[Record],
        running: &Running,
        now: Now,
        scheduler: &mut Scheduler,
    ) {
        if let Some((gid, id)) = &self.is_at_it {
            let transaction = running.core().engine().transaction(gid);
            let branch = transaction.and_then(|transaction| transaction.branch(id));
            if branch.is_some_and(|branch| !branch.is_done() && branch.is_parked()) {
                scheduler.broke(format!("{gid}/{id} is at it and is shown to people"));
            }
        }
        let parts =
            records.iter().flat_map(|record| record.change.parts().map(move |it| (record, it)));
        for (record, change) in parts {
            match change {
                Change::Decided(_) => {
                    let engine = running.core().engine();
                    let Some(transaction) = engine.transaction(&record.gid) else { continue };
                    for branch in transaction.branches() {
                        let branch = (record.gid.clone(), branch.id().clone());
                        self.since.insert(branch, now.mono);
                    }
                }
                Change::Parked(true) if self.only_time_passes => {
                    scheduler.saw(Sometimes::ParkedByTheClock);
                }
                Change::Parked(false) if self.is_at_it.is_some() => {
                    scheduler.saw(Sometimes::Unparked);
                }
                Change::Begun(_)
                | Change::Registered(_)
                | Change::RegisteredAtOnce(_)
                | Change::BranchRecord(_)
                | Change::Tried(_)
                | Change::Finished { .. }
                | Change::Parked(_)
                | Change::History(_)
                | Change::Acted(_) => {}
            }
        }
    }

    pub(super) fn round_ended(
        &mut self,
        running: &Running,
        awake_since: u64,
        excused: &BTreeSet<Gid>,
        scheduler: &mut Scheduler,
    ) {
        let patience = scheduler.plan.rules.park_after;
        for ((gid, id), since) in &self.since {
            let transaction = running.core().engine().transaction(gid);
            let Some(transaction) = transaction.filter(|_| !excused.contains(gid)) else {
                continue;
            };
            let Some(branch) = transaction.branch(id) else { continue };
            if branch.is_held() && branch.is_parked() {
                scheduler.broke(format!("{gid}/{id} is put off and is shown to people"));
                return;
            }
            // Of what is put off it begins when that is over.
            let put_off = branch.spec().confirm_after().unwrap_or_default();
            let due = since.after(put_off).after(patience);
            // The time of a step begins with its turn, which is not seen here.
            let has_a_turn = transaction.spec().pattern == Pattern::Saga;
            let waits = transaction.decision().is_some() && !branch.is_done() && !has_a_turn;
            let overdue = running.is_overdue(due, awake_since, scheduler.now);
            if waits && overdue && !branch.is_parked() {
                scheduler.broke(format!("{gid}/{id} waits and is not shown to people"));
                return;
            }
        }
    }
}
