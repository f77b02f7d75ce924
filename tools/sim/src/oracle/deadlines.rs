//! Deadlines fire within a millisecond of their time while the coordinator is up, and never
//! before, whatever the wall clock does.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{Change, Decision, Event, Input, Load, Phase, Record, StoredTransaction};
use tercet_wire::{Gid, Mono, Now, Reason};

use crate::coverage::Sometimes;
use crate::node::Running;
use crate::scheduler::Scheduler;

/// When each transaction of this life may be cancelled for want of a decision.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    life: u64,
    not_before: BTreeMap<Gid, Mono>,
}

impl Deadlines {
    pub(super) fn before(
        &mut self,
        event: &Event,
        running: &Running,
        now: Now,
        scheduler: &mut Scheduler,
    ) {
        if self.life != running.life {
            *self = Self { life: running.life, ..Self::default() };
        }
        match event {
            Event::Input(Input::Adopt(stored)) => self.taken_up(stored, now),
            Event::Input(Input::Loaded(gid, Load::Found(stored))) => {
                let due = self.not_before.get(gid).copied();
                if !stored.status.is_decided() && due.is_some_and(|due| due <= now.mono) {
                    scheduler.saw(Sometimes::DeadlineWhilePagedOut);
                }
                self.taken_up(stored, now);
            }
            // What was begun here was never written; another node's has a deadline of its own.
            Event::Input(Input::Exists(gid)) if scheduler.is_cluster() => {
                self.not_before.remove(gid);
            }
            Event::Input(_) | Event::Sync(_) | Event::Journal { .. } | Event::Fenced => {}
        }
    }

    /// Before when nothing follows from the deadline of a transaction.
    pub(super) fn of(&self, gid: &Gid) -> Option<Mono> {
        self.not_before.get(gid).copied()
    }

    fn taken_up(&mut self, stored: &StoredTransaction, now: Now) {
        let gid = stored.spec.gid.clone();
        // A clock that was set back does not give it more time than it had.
        let spec = &stored.spec;
        let given = spec.deadline_at.since(spec.created_at);
        let left = spec.deadline_at.since(now.wall).min(given);
        self.not_before.entry(gid).or_insert(now.mono.after(left));
    }

    pub(super) fn after(&mut self, records: &[Record], now: Now, scheduler: &mut Scheduler) {
        let parts =
            records.iter().flat_map(|record| record.change.parts().map(move |it| (record, it)));
        for (record, change) in parts {
            match change {
                Change::Begun(spec) => {
                    // Another may rest under the same gid, as will turn out.
                    let due = now.mono_at(spec.deadline_at);
                    let known = self.not_before.entry(record.gid.clone()).or_insert(due);
                    *known = due.min(*known);
                }
                Change::Decided(decided) => {
                    let due = self.not_before.remove(&record.gid);
                    match &decided.decision {
                        Decision::Cancel { reason: Reason::Deadline, .. } => {
                            scheduler.saw(Sometimes::DeadlineCancels);
                            if due.is_none_or(|due| now.mono < due) {
                                scheduler.broke(format!(
                                    "{}: cancelled before its deadline",
                                    record.gid
                                ));
                            }
                        }
                        Decision::Cancel { reason: Reason::TryFailed, .. } => {
                            scheduler.saw(Sometimes::AttemptsUsedUp);
                        }
                        Decision::Cancel { .. } | Decision::Confirm => {}
                    }
                }
                Change::Registered(_)
                | Change::RegisteredAtOnce(_)
                | Change::BranchRecord(_)
                | Change::Tried(_)
                | Change::Finished { .. }
                | Change::Parked(_)
                | Change::History(_)
                | Change::Acted(_)
                | Change::Ticked(_) => {}
            }
        }
    }

    /// After a round nothing is overdue by more than a millisecond, unless the process was not
    /// there to notice.
    pub(super) fn round_ended(
        &mut self,
        running: &Running,
        awake_since: u64,
        excused: &BTreeSet<Gid>,
        scheduler: &mut Scheduler,
    ) {
        let overdue = |due: Mono| running.is_overdue(due, awake_since, scheduler.now);
        let late = self.not_before.iter().find(|(gid, due)| {
            let transaction = running.core().engine().transaction(gid);
            overdue(**due)
                && !excused.contains(*gid)
                && transaction.is_some_and(|transaction| match transaction.phase() {
                    // A deadline may be later than the rows say, never earlier; where the
                    // initiator is asked it is over.
                    Phase::Trying { deadline } => {
                        overdue(*deadline) && transaction.initiator().is_none()
                    }
                    Phase::SecondPhase(_) | Phase::Finished { .. } => false,
                })
        });
        if let Some((gid, due)) = late {
            let late = running.mono(scheduler.now).0 - due.0;
            scheduler.broke(format!("{gid}: its deadline was {late} ms ago"));
        }
    }
}
