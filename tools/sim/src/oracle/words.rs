//! An operator's word takes effect within two seconds whatever the call under way does, and a restart
//! goes on with it.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{Event, Input, Record};
use tercet_wire::{BranchId, Gid, Mono, Now};

use crate::coverage::Sometimes;
use crate::node::Running;
use crate::scheduler::Scheduler;

/// How long a word may wait.
const LONGEST: u64 = 2_000;

/// The words that wait, of this life.
#[derive(Debug, Default)]
pub(crate) struct Words {
    life: u64,
    since: BTreeMap<(Gid, BranchId), Mono>,
    /// Branches that have been resolved while a call was under way.
    overtaken: BTreeSet<(Gid, BranchId)>,
    /// Those that were found at a start: no call is under way.
    found: Vec<(Gid, BranchId)>,
}

impl Words {
    pub(super) fn before(&mut self, event: &Event, running: &Running, scheduler: &mut Scheduler) {
        if self.life != running.life {
            *self = Self { life: running.life, ..Self::default() };
        }
        self.found.clear();
        if let Event::Input(Input::Exists(gid)) = event {
            self.since.retain(|(of, _), _| of != gid);
        }
        let Event::Input(Input::Adopt(stored)) = event else { return };
        for row in stored.branch_records.iter().filter(|row| row.pending_resolution.is_some()) {
            scheduler.saw(Sometimes::WordGoesOn);
            self.found.push((stored.spec.gid.clone(), row.branch.clone()));
        }
    }

    pub(super) fn after(
        &mut self,
        records: &[Record],
        running: &Running,
        now: Now,
        scheduler: &mut Scheduler,
    ) {
        let engine = running.core().engine();
        for (gid, id) in &self.found {
            let branch = engine.transaction(gid).and_then(|transaction| transaction.branch(id));
            if branch.is_some_and(|branch| !branch.is_done()) {
                scheduler.broke(format!("{gid}/{id}: a restart has forgotten an operator's word"));
            }
        }
        for record in records {
            let Some(transaction) = engine.transaction(&record.gid) else { continue };
            for branch in transaction.branches() {
                let of = (record.gid.clone(), branch.id().clone());
                if branch.has_overtaken_call() && self.overtaken.insert(of.clone()) {
                    scheduler.saw(Sometimes::ResolvedWhileCalled);
                    let waited = self.since.get(&of).map(|since| now.mono.since(*since));
                    if waited.is_none_or(|waited| waited.as_millis() < u128::from(LONGEST)) {
                        let (gid, id) = &of;
                        scheduler.broke(format!("{gid}/{id}: a word did not wait for the call"));
                    }
                }
                match branch.pending_resolution() {
                    Some(_) => {
                        self.since.entry(of).or_insert(now.mono);
                    }
                    None => {
                        self.since.remove(&of);
                    }
                }
            }
        }
    }

    pub(super) fn round_ended(
        &mut self,
        running: &Running,
        awake_since: u64,
        scheduler: &mut Scheduler,
    ) {
        let overdue = self.since.iter().find(|((gid, _), since)| {
            let due = Mono(since.0 + LONGEST);
            let is_here = running.core().engine().transaction(gid).is_some();
            is_here && running.is_overdue(due, awake_since, scheduler.now)
        });
        if let Some(((gid, id), _)) = overdue {
            scheduler.broke(format!("{gid}/{id}: an operator's word waits longer than it may"));
        }
    }
}
