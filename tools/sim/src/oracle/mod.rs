//! Watches everything and believes nobody: what is written, what leaves, what is told and what
//! participants have done is compared at every step, and at rest.
//!
//! It keeps notes of its own, made from what was seen from outside; the coordinator's memory is
//! asked only where a promise is about it.

mod calls;
mod deadlines;
mod rest;
mod seen;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{
    Commands, Decision, Event, Outcome, Parked, Ring, Stored, invariants::decision_is_final,
};
use tercet_wire::{Gid, Instance, Now, Op, Status};

use crate::coverage::Sometimes;
use crate::journal::{Changed, Rows};
use crate::node::Running;
use crate::service::Service;
use crate::stage::Stage;

pub(crate) use rest::at_rest;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// The first durable decision of each transaction.
    decisions: BTreeMap<Instance, Op>,
    told: told::Told,
    calls: calls::Calls,
    deadlines: deadlines::Deadlines,
    /// Transactions that may stand still until the coordinator starts again: their records were
    /// rejected, or their rows could not be read.
    pub(crate) excused: BTreeSet<Gid>,
}

impl Oracle {
    /// Before an event is handled.
    pub(crate) fn before(
        &mut self,
        event: &Event,
        running: &Running,
        now: Now,
        rows: &Rows,
        stage: &mut Stage,
    ) {
        seen::before(event, running, rows, stage);
        self.calls.before(event, running, now);
        self.deadlines.before(event, running, now);
    }

    /// After it was handled, before anything is carried out.
    pub(crate) fn after(
        &mut self,
        commands: &Commands,
        running: &Running,
        now: Now,
        rows: &Rows,
        services: &[Service],
        stage: &mut Stage,
    ) {
        if stage.log.is_kept() {
            for line in crate::told::commands(commands) {
                stage.note(|| format!("out {line}"));
            }
        }
        stage.note(|| format!("    {} rest", running.ring.census().resting));
        self.deadlines.after(commands, now, stage);
        self.calls.after(commands, running, now, rows, stage);
        for (reply_to, reply) in &commands.replies {
            let Some(gid) = running.asked_about(*reply_to) else { continue };
            self.told.reply(gid, reply, rows, services, stage);
        }
    }

    /// A batch changed a transaction's rows.
    pub(crate) fn written(&mut self, changed: &Changed, stage: &mut Stage) {
        let Changed { before, after } = changed;
        let gid = &after.spec.gid;
        if let Some(before) = before {
            stage.check(decision_is_final(before, after));
            if before.decided.is_some() && before.branches.len() != after.branches.len() {
                stage.broke(format!("{gid} took a branch after the decision"));
            }
        }
        if let Some(op) = after.decision().map(Decision::op) {
            let first = *self.decisions.entry(after.spec.instance).or_insert(op);
            if first != op {
                stage.broke(format!("{gid} was decided twice: {first}, then {op}"));
            }
        }
        if after.outcomes.iter().any(|outcome| outcome.resolved_as.is_some()) {
            stage.saw(Sometimes::Resolved);
        }
        if after.parked {
            stage.saw(Sometimes::Parked);
        }
        match after.status {
            Status::Confirmed => stage.saw(Sometimes::Confirmed),
            Status::Cancelled => stage.saw(Sometimes::Cancelled),
            Status::Trying | Status::Confirming | Status::Cancelling => {}
        }
    }

    /// People are told that a branch is parked: who looks finds it so, or finds it ended.
    pub(crate) fn parked(&self, gid: &Gid, parked: &Parked, rows: &Rows, stage: &mut Stage) {
        let id = &parked.branch.id;
        let stored = rows.get(gid).filter(|stored| stored.spec.instance == parked.instance);
        let row = stored.and_then(|stored| stored.outcomes.iter().find(|row| row.branch == *id));
        let is_so = |row: &Outcome| row.parked || row.acknowledged_at.is_some();
        let is_over = stored.is_some_and(|stored| stored.status.is_finished());
        if !is_over && !row.is_some_and(is_so) {
            stage.broke(format!("{gid}/{id} was told to be parked before that was durable"));
        }
    }

    /// A transaction was set aside.
    pub(crate) fn alarm(&mut self, gid: &Gid, why: &str, rows: &Rows, stage: &mut Stage) {
        if !rows.is_readable(gid) {
            stage.saw(Sometimes::Unreadable);
            self.excused.insert(gid.clone());
        } else if rows.rejected.contains(gid) {
            stage.saw(Sometimes::SetAside);
            self.excused.insert(gid.clone());
        } else {
            stage.broke(format!("{gid} was set aside: {why}"));
        }
    }

    /// After start-up: whatever can be read is taken up.
    pub(crate) fn recovered(&mut self, ring: &Ring, rows: &Rows, stage: &mut Stage) {
        self.told.new_life();
        self.excused.retain(|gid| !rows.is_readable(gid));
        for stored in rows.all().filter(|stored| !stored.status.is_finished()) {
            let gid = &stored.spec.gid;
            if !rows.is_readable(gid) {
                self.excused.insert(gid.clone());
            } else if ring.engine().transaction(gid).is_none() && !rests(stored, ring) {
                stage.broke(format!("{gid} was not taken up by the recovery"));
            }
        }
    }

    /// After a round of the loop.
    pub(crate) fn round_ended(
        &mut self,
        running: &Running,
        awake_since: u64,
        rows: &Rows,
        stage: &mut Stage,
    ) {
        self.deadlines.round_ended(running, awake_since, &self.excused, stage);
        running.dispatch.within_bounds(stage);
        let census = running.ring.census();
        let known: usize = census.by_status.values().map(|(count, _)| count).sum();
        if census.resting > 0 {
            stage.saw(Sometimes::Rested);
        }
        let not_here = |stored: &&Stored| {
            let gid = &stored.spec.gid;
            let unfinished = stored.status.is_decided() && !stored.status.is_finished();
            unfinished
                && !self.excused.contains(gid)
                && running.ring.engine().transaction(gid).is_none()
        };
        let resting = rows.all().filter(not_here).count();
        if resting > census.resting {
            stage.broke(format!("{resting} transactions rest, {} are known to", census.resting));
        }
        let most = stage.plan.live_transactions + self.calls.taken_up(running.life);
        if known.saturating_sub(census.resting) > most {
            stage.broke("more transactions are live than may be");
        }
    }
}

/// What is decided may rest in the journal, if memory knows that something does.
fn rests(stored: &Stored, ring: &Ring) -> bool {
    stored.status.is_decided() && ring.census().resting > 0
}
