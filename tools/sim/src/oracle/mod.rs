//! Watches everything and believes nobody: what is written, what leaves, what is told and what
//! participants have done is compared at every step, and at rest.
//!
//! It keeps notes of its own, made from what was seen from outside; the coordinator's memory is
//! asked only where a promise is about it.

mod at_rest;
mod audit;
mod calls;
mod checks;
mod deadlines;
mod expectations;
mod journal;
mod lives;
mod order;
mod outages;
mod parking;
mod pauses;
mod results;
mod seen;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{
    BranchRecord, Commands, Core, Decision, Event, Input, Lane, Load, OutageNews, Parked,
    StoredTransaction, Submitted, invariants::decision_is_final,
};
use tercet_wire::{BranchStatus, Fingerprint, Gid, Instance, Now, Op, Pattern, Status};

use crate::coverage::{Check, Sometimes, Together};
use crate::initiators::{Initiators, begun};
use crate::node::{LONGEST_STOP, RETENTION, Running};
use crate::rows::{Changed, Committed, Rows, incarnation};
use crate::scheduler::Scheduler;
use crate::service::Service;

pub(crate) use at_rest::at_rest;
pub(crate) use outages::Told;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// The first durable decision of each transaction.
    decisions: BTreeMap<Instance, Op>,
    expectations: expectations::Expectations,
    audit: audit::AuditSeen,
    results: results::ResultsSeen,
    checks: checks::ChecksSeen,
    nodes: BTreeMap<usize, OfNode>,
    pub(crate) lives: lives::LivesSeen,
    /// Transactions that may stand still until the coordinator starts again: their records were
    /// rejected, or their rows could not be read.
    pub(crate) excused: BTreeSet<Gid>,
}

/// What has been seen of one node, in its present life.
#[derive(Debug, Default)]
pub(crate) struct OfNode {
    calls: calls::Calls,
    deadlines: deadlines::Deadlines,
    parking: parking::Parking,
    pauses: pauses::PausesSeen,
    words: words::Words,
    pub(crate) told: Told,
    pub(crate) journal: journal::Journal,
    /// What is being read of a dead life's.
    arriving: Option<Gid>,
}

impl Oracle {
    /// What has been seen of this node.
    pub(crate) fn of(&mut self, node: usize) -> &mut OfNode {
        self.nodes.entry(node).or_default()
    }

    /// A submission of a life has happened.
    pub(crate) fn committed(
        &mut self,
        life: u64,
        submitted: &Submitted,
        committed: &Committed,
        initiators: &Initiators,
        scheduler: &mut Scheduler,
    ) {
        for changed in &committed.changed {
            self.written(changed, scheduler);
            self.checks.written(changed, initiators, scheduler);
            begun(changed, initiators, scheduler);
            results::ResultsSeen::written(changed, scheduler);
            self.lives.written(life, changed, scheduler);
        }
        self.lives.committed(life, submitted, committed, scheduler);
        self.audit.committed(submitted, committed, scheduler);
    }

    /// Before an event is handled.
    pub(crate) fn before(
        &mut self,
        event: &Event,
        running: &Running,
        now: Now,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        seen::before(event, running, rows, scheduler);
        finished_before_begun(event, running, scheduler);
        self.results.before(event, running, scheduler);
        self.checks.before(event, running, scheduler);
        let of_node = self.of(running.node);
        of_node.arriving = match event {
            Event::Input(Input::Loaded(gid, Load::Found(stored))) => {
                let arrives = running.is_arriving(gid) && !stored.status.is_finished();
                arrives.then(|| gid.clone())
            }
            Event::Input(_) | Event::Sync(_) | Event::Journal { .. } | Event::Fenced => None,
        };
        of_node.calls.before(event, running, now, scheduler);
        of_node.deadlines.before(event, running, now, scheduler);
        of_node.parking.before(event, running, now, scheduler);
        of_node.pauses.before(event);
        of_node.words.before(event, running, scheduler);
    }

    /// After it was handled, before anything is carried out.
    pub(crate) fn after(
        &mut self,
        commands: &Commands,
        running: &Running,
        now: Now,
        (rows, services, initiators): (&Rows, &[Service], &Initiators),
        scheduler: &mut Scheduler,
    ) {
        if scheduler.log.is_kept() {
            for line in crate::describe::commands(commands, running.driver.just_recorded()) {
                scheduler.note(|| format!("out {line}"));
            }
        }
        scheduler.note(|| format!("    {} paged out", running.core().census().paged_out));
        scheduler.check(running.core().engine().check());
        let records = running.driver.just_recorded();
        let Self { nodes, lives, results, checks, .. } = self;
        results.after(commands, running, rows, lives, scheduler);
        checks.after(records, running, initiators, scheduler);
        let of_node = nodes.entry(running.node).or_default();
        for call in commands.calls.iter().filter(|call| call.ticket.asks) {
            let gid = &call.ticket.gid;
            // Of what is another's by now it may not know how it stands.
            if !lives.is_anothers(gid, running.life, rows) {
                let so_far = (rows.get(gid), of_node.deadlines.of(gid));
                checks.asks(call, running.life, so_far, now, scheduler);
            }
        }
        of_node.deadlines.after(records, now, scheduler);
        of_node.parking.after(records, running, now, scheduler);
        of_node.pauses.after(records, running, scheduler);
        of_node.words.after(records, running, now, scheduler);
        of_node.calls.after(commands, running, now, rows, lives, scheduler);
        if let Some(gid) = &of_node.arriving {
            let is_here = running.core().engine().transaction(gid).is_some();
            scheduler.saw(if is_here { Together::ArrivedLive } else { Together::ArrivedPagedOut });
        }
        let is_over = scheduler.is_cluster() && lives.is_over(running.life);
        if is_over && !commands.replies.is_empty() {
            scheduler.saw(Together::RefusedByFenced);
        }
        for (reply_to, reply) in &commands.replies {
            let Some(asked) = running.asked_about(*reply_to) else { continue };
            self.expectations.reply(running.node, asked, reply, rows, services, scheduler);
        }
    }

    /// A batch changed a transaction's rows.
    fn written(&mut self, changed: &Changed, scheduler: &mut Scheduler) {
        let Changed { before, after } = changed;
        let gid = &after.spec.gid;
        if let Some(before) = before {
            scheduler.check(decision_is_final(before, after));
            if before.decided.is_some() && before.branches.len() != after.branches.len() {
                scheduler.broke(format!("{gid} took a branch after the decision"));
            }
        }
        if let Some(op) = after.decision().map(Decision::op) {
            let first = *self.decisions.entry(after.spec.instance).or_insert(op);
            if first != op {
                scheduler.broke(format!("{gid} was decided twice: {first}, then {op}"));
            }
        }
        if after.branch_records.iter().any(|outcome| outcome.resolved_as.is_some()) {
            scheduler.saw(Sometimes::Resolved);
        }
        if after.branch_records.iter().any(|outcome| outcome.contradicted) {
            scheduler.saw(Sometimes::Contradicted);
        }
        if after.spec.fingerprint == Fingerprint::of_refused() {
            scheduler.saw(Sometimes::BeginRefused);
            if !after.branches.is_empty() {
                scheduler.broke(format!("{gid} was refused, and begun all the same"));
            }
        }
        if after.parked {
            scheduler.saw(Sometimes::Parked);
        }
        match after.status {
            Status::Confirmed => scheduler.saw(Sometimes::Confirmed),
            Status::Cancelled => scheduler.saw(Sometimes::Cancelled),
            Status::Trying | Status::Confirming | Status::Cancelling => {}
        }
    }

    /// People are told that a branch is parked: who looks finds it so, or finds that it has answered, or
    /// that it is called elsewhere since.
    pub(crate) fn parked(
        &self,
        gid: &Gid,
        parked: &Parked,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        let id = &parked.branch.id;
        if parked.asks {
            return self.initiator_parked(gid, parked, rows, scheduler);
        }
        let stored = rows.get(gid).filter(|stored| stored.spec.instance == parked.instance);
        let row =
            stored.and_then(|stored| stored.branch_records.iter().find(|row| row.branch == *id));
        let is_saga = stored.is_some_and(|stored| stored.spec.pattern == Pattern::Saga);
        let is_so = |row: &BranchRecord| {
            let has_answered =
                row.acknowledged_at.is_some() || is_saga && row.status != BranchStatus::Registered;
            row.parked || has_answered
        };
        let is_over = stored.is_some_and(|stored| stored.status.is_finished());
        let now = stored.and_then(|stored| stored.branches.iter().find(|branch| branch.id == *id));
        let is_elsewhere = now.is_some_and(|now| now.urls != parked.branch.urls);
        if !is_over && !is_elsewhere && !row.is_some_and(is_so) {
            scheduler.broke(format!("{gid}/{id} was told to be parked before that was durable"));
        }
    }

    /// People are told that an initiator does not say what became of its transaction.
    fn initiator_parked(&self, gid: &Gid, parked: &Parked, rows: &Rows, scheduler: &mut Scheduler) {
        scheduler.saw(Check::Shown);
        let stored = rows.get(gid).filter(|stored| stored.spec.instance == parked.instance);
        if !stored.is_some_and(|stored| stored.parked || stored.decided.is_some()) {
            scheduler.broke(format!("{gid}: its initiator was told of before that was durable"));
        }
    }

    /// People are told of an outage.
    pub(crate) fn unreachable(
        &self,
        news: &OutageNews,
        running: &Running,
        scheduler: &mut Scheduler,
    ) {
        pauses::PausesSeen::told(news, running, scheduler);
    }

    /// A transaction would be deleted, since it ended long ago by some clock.
    pub(crate) fn forgotten(&self, stored: &StoredTransaction, scheduler: &mut Scheduler) {
        let least = RETENTION.saturating_sub(LONGEST_STOP);
        if u128::from(scheduler.now) < least.as_millis() {
            scheduler.broke(format!("{} is forgotten in its first minutes", stored.spec.gid));
        }
    }

    /// A transaction was quarantined.
    pub(crate) fn alarm(&mut self, gid: &Gid, why: &str, rows: &Rows, scheduler: &mut Scheduler) {
        if !rows.is_readable(gid) {
            scheduler.saw(Sometimes::Unreadable);
            self.excused.insert(gid.clone());
        } else if rows.rejected.contains(gid) {
            scheduler.saw(Sometimes::Quarantined);
            self.excused.insert(gid.clone());
        } else {
            scheduler.broke(format!("{gid} was quarantined: {why}"));
        }
    }

    /// After start-up: whatever can be read is taken up.
    pub(crate) fn recovered(&mut self, running: &Running, rows: &Rows, scheduler: &mut Scheduler) {
        let core = running.core();
        self.expectations.new_life(running.node);
        self.of(running.node).journal = journal::Journal::default();
        self.excused.retain(|gid| !rows.is_readable(gid));
        let own = rows.all().filter(|it| it.owner == Some(incarnation(running.life)));
        for stored in own {
            let gid = &stored.spec.gid;
            if !rows.is_readable(gid) {
                self.excused.insert(gid.clone());
            } else if core.engine().transaction(gid).is_none() && !rests(stored, core) {
                scheduler.broke(format!("{gid} was not taken up by the recovery"));
            }
        }
    }

    /// After a round of the loop.
    pub(crate) fn round_ended(
        &mut self,
        running: &Running,
        awake_since: u64,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        let Self { nodes, excused, .. } = &mut *self;
        let of_node = nodes.entry(running.node).or_default();
        of_node.deadlines.round_ended(running, awake_since, excused, scheduler);
        of_node.parking.round_ended(running, awake_since, excused, scheduler);
        of_node.words.round_ended(running, awake_since, scheduler);
        let own = Some(incarnation(running.life));
        let rests_open = |stored: &&StoredTransaction| {
            let gid = &stored.spec.gid;
            stored.owner == own
                && !stored.status.is_decided()
                && running.core().engine().transaction(gid).is_none()
        };
        if rows.all().any(|stored| rests_open(&stored)) {
            scheduler.saw(Sometimes::OpenPagedOut);
        }
        pauses::PausesSeen::round_ended(running, scheduler);
        self.checks.round_ended(rows.all().filter(rests_open), scheduler);
        running.dispatch.within_bounds(scheduler);
        let census = running.core().census();
        let known: usize = census.by_status.values().map(|(count, _)| count).sum();
        if census.paged_out > 0 {
            scheduler.saw(Sometimes::PagedOut);
        }
        let not_here = |stored: &&StoredTransaction| {
            let gid = &stored.spec.gid;
            stored.owner == own
                && !stored.status.is_finished()
                && !self.excused.contains(gid)
                && running.core().engine().transaction(gid).is_none()
        };
        let paged_out = rows.all().filter(not_here).count();
        // What is being taken over is not read yet.
        if paged_out > census.paged_out && !running.takes_over() {
            scheduler.broke(format!(
                "{paged_out} transactions are paged out, {} are known to be",
                census.paged_out
            ));
        }
        let most =
            scheduler.plan.live_transactions + self.of(running.node).calls.taken_up(running.life);
        if known.saturating_sub(census.paged_out) > most {
            scheduler.broke("more transactions are live than may be");
        }
    }
}

/// What is decided, or open, may rest in the journal, if memory knows that something does.
fn rests(stored: &StoredTransaction, core: &Core) -> bool {
    (stored.status.is_decided() || stored.spec.open) && core.census().paged_out > 0
}

/// A request is handled after all that the journal and participants have said and that may make
/// room for it, unless there is more of that than fits into a round.
fn finished_before_begun(event: &Event, running: &Running, scheduler: &mut Scheduler) {
    let Event::Input(Input::Request(_)) = event else { return };
    for lane in [Lane::Journal, Lane::Answers] {
        let waiting = running.driver.waiting(lane);
        if waiting > 0 && !running.lane_was_full(lane) {
            scheduler.broke(format!("a request was handled while {waiting} waited in {lane:?}"));
        }
    }
}
