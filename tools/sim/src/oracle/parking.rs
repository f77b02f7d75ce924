//! Whoever has waited for the answer it needs for as long as it may is shown to people, within a
//! millisecond and however it waits; and whoever says that it is at it is not.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{Ask, Branch, Change, Decision, Event, Input, Load, Record, Transaction};
use tercet_wire::{
    BranchId, BranchSpec, Gid, Mono, Now, Op, Pattern, Verdict, check_verdict, host_port, verdict,
};

use crate::coverage::{Check, Sometimes};
use crate::node::Running;
use crate::oracle::calls::is_under_way;
use crate::oracle::order;
use crate::scheduler::Scheduler;

/// Since when each branch of this life waits; by the id that stands for it, an initiator that is asked.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    life: u64,
    since: BTreeMap<(Gid, BranchId), Mono>,
    /// What this life has begun or taken up.
    known: BTreeSet<Gid>,
    /// Of these the time begins once they are read: a branch is called elsewhere from then on, or they were
    /// paged out when a participant was resumed.
    begins_when_read: BTreeSet<Gid>,
    /// Who is paused, as this life knows.
    paused: BTreeSet<String>,
    only_time_passes: bool,
    /// Who has just said that it is at it.
    is_at_it: Option<(Gid, BranchId)>,
}

impl Parking {
    pub(super) fn before(
        &mut self,
        event: &Event,
        running: &Running,
        now: Now,
        scheduler: &Scheduler,
    ) {
        if self.life != running.life {
            let paused = running.dispatch.paused().clone();
            *self = Self { life: running.life, paused, ..Self::default() };
        }
        self.only_time_passes = matches!(event, Event::Input(Input::Tick));
        self.is_at_it = None;
        if let Event::Input(Input::Loaded(gid, Load::Found(_))) = event {
            // What is read goes by the wall clock, which may have been set back since.
            if self.begins_when_read.remove(gid) || scheduler.clocks_were_set {
                self.begins_anew(gid, now);
            }
        }
        match event {
            Event::Input(Input::Request(request)) if matches!(request.ask, Ask::Readdress(_)) => {
                self.begins_when_read.insert(request.gid.clone());
                self.begins_anew(&request.gid, now);
            }
            Event::Input(Input::Adopt(stored) | Input::Loaded(_, Load::Found(stored))) => {
                self.known.insert(stored.spec.gid.clone());
                // The time of a step begins with its turn.
                if stored.status.is_decided() && stored.spec.pattern == Pattern::Tcc {
                    for branch in &stored.branches {
                        let branch = (stored.spec.gid.clone(), branch.id.clone());
                        self.since.entry(branch).or_insert(now.mono);
                    }
                }
            }
            Event::Input(Input::Answered(ticket, answer)) if is_under_way(ticket, running) => {
                let parks = ticket.op != Op::Try || ticket.asks || is_saga(&ticket.gid, running);
                let verdict = match ticket.asks {
                    true => check_verdict(answer),
                    false => verdict(ticket.op, answer),
                };
                let Verdict::InProgress(pause) = verdict else { return };
                let branch = (ticket.gid.clone(), ticket.branch.clone());
                if parks {
                    self.since.insert(branch.clone(), now.mono.after(pause));
                    self.is_at_it = Some(branch);
                }
            }
            Event::Input(Input::Paused(paused)) => self.resumed(paused, running, now),
            // What was begun here was never written.
            Event::Input(Input::Exists(gid)) => self.since.retain(|(of, _), _| of != gid),
            Event::Input(_) | Event::Sync(_) | Event::Journal { .. } | Event::Fenced => {}
        }
    }

    /// Nobody has waited for where a branch is called from now on; whoever has said when it wants to be
    /// asked again is not waited for before that.
    fn begins_anew(&mut self, gid: &Gid, now: Now) {
        let of_it = self.since.iter_mut().filter(|((of, _), _)| of == gid);
        of_it.for_each(|(_, since)| *since = now.mono.max(*since));
    }

    /// Of those whose participants are called again it begins now.
    fn resumed(&mut self, paused: &BTreeSet<String>, running: &Running, now: Now) {
        let before = std::mem::replace(&mut self.paused, paused.clone());
        for ((gid, id), since) in &mut self.since {
            let transaction = running.core().engine().transaction(gid);
            let called = transaction.and_then(|it| called(it, callee(it, id)?));
            match called {
                // Nobody knows whom one waits for that is paged out: its time begins when it is read.
                None => {
                    *since = now.mono.max(*since);
                    self.begins_when_read.insert(gid.clone());
                }
                Some(called) if before.contains(&called) && !paused.contains(&called) => {
                    *since = now.mono;
                }
                Some(_) => {}
            }
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
            let callee = transaction.and_then(|transaction| callee(transaction, id));
            if callee.is_some_and(|callee| !callee.is_done() && callee.is_parked()) {
                scheduler.broke(format!("{gid}/{id} is at it and is shown to people"));
            }
        }
        let parts =
            records.iter().flat_map(|record| record.change.parts().map(move |it| (record, it)));
        for (record, change) in parts {
            match change {
                Change::Begun(_) => {
                    self.known.insert(record.gid.clone());
                }
                Change::Decided(_) => self.decided(&record.gid, running, now),
                Change::Parked(true) if self.only_time_passes => {
                    scheduler.saw(Sometimes::ParkedByTheClock);
                    if is_saga(&record.gid, running) {
                        scheduler.saw(Sometimes::StepParked);
                    }
                }
                Change::Parked(false) if self.is_at_it.is_some() => {
                    scheduler.saw(Sometimes::Unparked);
                    if self.is_at_it.as_ref().is_some_and(|(_, id)| *id == BranchId::of_check()) {
                        scheduler.saw(Check::SignOfLife);
                    }
                }
                Change::Registered(_)
                | Change::RegisteredAtOnce(_)
                | Change::Readdressed(_)
                | Change::BranchRecord(_)
                | Change::Tried(_)
                | Change::Finished { .. }
                | Change::Parked(_)
                | Change::History(_)
                | Change::Acted(_)
                | Change::Ticked(_) => {}
            }
        }
        self.who_has_come(running, now, scheduler);
    }

    /// From the decision on other calls are waited for; in a saga, of those whose turn it is.
    fn decided(&mut self, gid: &Gid, running: &Running, now: Now) {
        self.since.retain(|(of, _), _| of != gid);
        let Some(transaction) = running.core().engine().transaction(gid) else { return };
        if transaction.spec().pattern == Pattern::Tcc {
            for branch in transaction.branches() {
                self.since.insert((gid.clone(), branch.id().clone()), now.mono);
            }
        }
    }

    /// Steps whose turn has come, and initiators that are asked: their time begins.
    fn who_has_come(&mut self, running: &Running, now: Now, scheduler: &Scheduler) {
        for gid in &self.known {
            let Some(transaction) = running.core().engine().transaction(gid) else { continue };
            if transaction.initiator().is_some() {
                self.since.entry((gid.clone(), BranchId::of_check())).or_insert(now.mono);
            }
            if transaction.spec().pattern == Pattern::Tcc {
                continue;
            }
            for branch in transaction.branches() {
                let of = (gid.clone(), branch.id().clone());
                if !is_in_turn(transaction, branch, scheduler) || branch.is_held() {
                    self.since.remove(&of);
                } else {
                    self.since.entry(of).or_insert(now.mono);
                }
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
            let Some(callee) = callee(transaction, id) else { continue };
            if called(transaction, callee).is_some_and(|called| self.paused.contains(&called)) {
                continue;
            }
            if callee.is_held() && callee.is_parked() {
                scheduler.broke(format!("{gid}/{id} is put off and is shown to people"));
                return;
            }
            // Of what is put off it begins when that is over and its node is awake to see it.
            let is_saga = transaction.spec().pattern == Pattern::Saga;
            let put_off = callee.spec().confirm_after().filter(|_| !is_saga);
            let begins = match put_off {
                Some(put_off) => since.after(put_off).max(running.mono(awake_since)),
                None => *since,
            };
            let due = begins.after(patience);
            let parks = transaction.decision().is_some() || is_saga || *id == BranchId::of_check();
            let waits = parks && !callee.is_done();
            let overdue = running.is_overdue(due, awake_since, scheduler.now);
            if waits && overdue && !callee.is_parked() {
                scheduler.broke(format!("{gid}/{id} waits and is not shown to people"));
                return;
            }
        }
    }
}

/// Whom an id stands for.
fn callee<'a>(transaction: &'a Transaction, id: &BranchId) -> Option<&'a Branch> {
    match *id == BranchId::of_check() {
        true => transaction.initiator(),
        false => transaction.branch(id),
    }
}

/// Who is called for it next.
fn called(transaction: &Transaction, callee: &Branch) -> Option<String> {
    let op = callee.needs(transaction.decision())?;
    callee.spec().url(op).map(|url| host_port(url))
}

fn is_saga(gid: &Gid, running: &Running) -> bool {
    let transaction = running.core().engine().transaction(gid);
    transaction.is_some_and(|transaction| transaction.spec().pattern == Pattern::Saga)
}

/// Whether a step could be called now: it needs something, and all that come first are done with it.
fn is_in_turn(transaction: &Transaction, branch: &Branch, scheduler: &Scheduler) -> bool {
    let decision = transaction.decision();
    let Some(op) = branch.needs(decision) else { return false };
    if branch.spec().url(op).is_none() {
        return false;
    }
    // A clock in doubt gives one more round, to those that are called already.
    if decision.is_none() && scheduler.clocks_were_set && !transaction.is_in_turn(branch.id()) {
        return false;
    }
    let specs: Vec<&BranchSpec> = transaction.branches().iter().map(|it| &**it.spec()).collect();
    let awaited = match decision.map(Decision::op) {
        None | Some(Op::Try | Op::Confirm) => order::before(&specs, branch.id()),
        Some(Op::Cancel) => order::after(&specs, branch.id()),
    };
    let is_done = |it: &&Branch| match decision {
        Some(_) => it.is_done(),
        None => *it.state() == tercet_engine::BranchState::Tried,
    };
    let mut awaited = transaction.branches().iter().filter(|it| awaited.contains(it.id()));
    awaited.all(|it| is_done(&it))
}
