//! What calls may leave: after the journal (P1, P3), of the decision that stands, all branches at
//! once (P6), and after a failure no more often than the backoff allows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tercet_engine::{
    Ask, CallState, Change, Commands, Event, Input, Phase, Ticket, Transaction,
    invariants::{
        call_follows_its_delay, call_follows_the_journal, call_goes_where_the_journal_says,
    },
};
use tercet_wire::{BranchId, Gid, Mono, Now, Op, Verdict, check_verdict, verdict};

use crate::coverage::{Sometimes, Together};
use crate::node::Running;
use crate::oracle::lives::LivesSeen;
use crate::oracle::order;
use crate::rows::Rows;
use crate::scheduler::Scheduler;

/// More calls than these after failures, of one leg of one branch in this time, are a storm. With
/// pauses that double up to half a minute eight or nine are usual; chance alone does not lead here.
const STORM: usize = 25;
const STORM_WITHIN: Duration = Duration::from_secs(10);

type Leg = (Gid, BranchId, Op);

/// Calls of the present life.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    life: u64,
    taken_up: usize,
    /// What has just been read.
    read: Option<Gid>,
    /// Legs that were called at least once, or would have been had there been room.
    called: BTreeSet<Leg>,
    /// The last attempt of each leg that was let out.
    let_out: BTreeMap<Leg, u32>,
    /// What the last answer to a leg's call said: whether it failed, and until when it asked
    /// not to be called again.
    last: BTreeMap<Leg, (bool, Mono)>,
    /// Branches that are called elsewhere since, by the call that was under way then.
    left_behind: BTreeSet<(Gid, BranchId)>,
    /// When a leg was called again after a failure.
    again: BTreeMap<Leg, VecDeque<Mono>>,
}

impl Calls {
    /// Transactions that this life took up from the journal: they may exceed the limit.
    pub(super) fn taken_up(&self, life: u64) -> usize {
        if self.life == life { self.taken_up } else { 0 }
    }

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
        self.read = None;
        match event {
            Event::Input(Input::Answered(ticket, answer)) if is_under_way(ticket, running) => {
                let verdict = match ticket.asks {
                    true => check_verdict(answer),
                    false => verdict(ticket.op, answer),
                };
                if self.left_behind.remove(&(ticket.gid.clone(), ticket.branch.clone())) {
                    return;
                }
                let (failed, pause) = match verdict {
                    Verdict::Done | Verdict::Refused => return,
                    Verdict::InProgress(pause) => (false, pause),
                    Verdict::Again { pause, .. } => (true, pause.unwrap_or_default()),
                };
                let until = now.mono.after(pause);
                let deadline = deadline(&ticket.gid, running).filter(|_| !ticket.asks);
                let is_late = deadline.is_some_and(|at| until >= at);
                // It is called once more before its deadline.
                let until = if is_late { now.mono } else { until };
                if is_late {
                    scheduler.saw(Sometimes::PauseCutShort);
                }
                self.last.insert(leg(ticket), (failed, until));
            }
            Event::Input(Input::NotSent(ticket, _)) => {
                self.left_behind.remove(&(ticket.gid.clone(), ticket.branch.clone()));
                let leg = leg(ticket);
                self.called.insert(leg.clone());
                // It was never made, so what it was made after still stands.
                if self.let_out.get(&leg) == Some(&ticket.attempt)
                    && let Some(again) = self.again.get_mut(&leg)
                {
                    again.pop_back();
                }
            }
            // Where it is called from now on nothing was asked for, and nothing has failed.
            Event::Input(Input::Request(request))
                if matches!(request.ask, Ask::Readdress { .. }) =>
            {
                let Ask::Readdress(word) = &request.ask else { return };
                let transaction = running.core().engine().transaction(&request.gid);
                let branch = transaction.and_then(|it| it.branch(&word.branch));
                let is_called = branch.is_some_and(|branch| {
                    matches!(branch.call_state(), CallState::InFlight { .. })
                });
                if is_called {
                    self.left_behind.insert((request.gid.clone(), word.branch.clone()));
                    scheduler.saw(Sometimes::ReaddressedWhileCalled);
                }
                self.forget_pauses(&request.gid);
                self.again.retain(|(gid, ..), _| *gid != request.gid);
            }
            // An operator asks for calls at once.
            Event::Input(Input::Request(request)) if matches!(request.ask, Ask::Retry { .. }) => {
                self.forget_pauses(&request.gid);
            }
            Event::Input(Input::Adopt(stored)) => {
                self.taken_up += 1;
                self.forget_pauses(&stored.spec.gid);
                self.read = Some(stored.spec.gid.clone());
            }
            Event::Input(Input::Loaded(gid, _)) => {
                self.taken_up += 1;
                self.read = Some(gid.clone());
            }
            Event::Input(_) | Event::Sync(_) | Event::Journal { .. } | Event::Fenced => {}
        }
    }

    pub(super) fn after(
        &mut self,
        commands: &Commands,
        running: &Running,
        now: Now,
        rows: &Rows,
        lives: &LivesSeen,
        scheduler: &mut Scheduler,
    ) {
        // It may be called as it is read, and elsewhere with the same.
        let called_elsewhere: BTreeSet<&Gid> = running
            .driver
            .just_recorded()
            .iter()
            .filter(|record| record.change.parts().any(|it| matches!(it, Change::Readdressed(_))))
            .map(|record| &record.gid)
            .collect();
        let given_back = commands.retract.iter().filter(|it| called_elsewhere.contains(&it.gid));
        self.left_behind.extend(given_back.map(|it| (it.gid.clone(), it.branch.clone())));
        let mut gids: BTreeSet<&Gid> =
            running.driver.just_recorded().iter().map(|record| &record.gid).collect();
        for call in &commands.calls {
            let ticket = &call.ticket;
            let (gid, branch) = (&ticket.gid, &ticket.branch);
            let stored = rows.get(gid);
            // A life that is over and has not heard so may still send what it may not know to be
            // settled; guards refuse that.
            let is_anothers = lives.is_anothers(gid, running.life, rows);
            // Whoever asks changes nothing by that.
            if !is_anothers || !ticket.asks {
                scheduler.check(call_follows_the_journal(call, stored));
            }
            if !is_anothers {
                scheduler.check(call_goes_where_the_journal_says(call, stored));
            }
            if is_anothers {
                scheduler.saw(Together::CallByFenced);
                if !lives.is_over(running.life) {
                    scheduler.broke(format!("{gid}/{branch}: called, and another drives it"));
                }
            }
            if call.branch.confirm_after().is_some() && ticket.op == Op::Confirm {
                scheduler.saw(Sometimes::PutOff);
                // What it goes by after a restart is the wall clock.
                if !scheduler.clocks_were_set {
                    scheduler.check(call_follows_its_delay(call, stored, now));
                }
            }
            let decided = stored.is_some_and(|stored| stored.decided.is_some());
            if !is_anothers && !ticket.asks {
                order::called(call, stored, scheduler);
            }
            if ticket.op == Op::Try && decided && !is_anothers && !ticket.asks {
                scheduler.broke(format!("{gid}/{branch}: a Try left after the decision"));
            }
            let branch_records =
                stored.map(|stored| &stored.branch_records[..]).unwrap_or_default();
            let of_branch = branch_records.iter().find(|outcome| outcome.branch == ticket.branch);
            if of_branch.is_some_and(|outcome| outcome.resolved_as.is_some()) && !is_anothers {
                scheduler.broke(format!("{gid}/{branch}: called although it was resolved"));
            }
            gids.insert(gid);
            let leg = leg(ticket);
            self.called.insert(leg.clone());
            self.let_out.insert(leg.clone(), ticket.attempt);
            // A life that is over may have forgotten a pause with what is no longer its own.
            if !is_anothers {
                self.is_no_storm(leg, now.mono, scheduler);
            }
        }
        let read = self.read.take();
        gids.extend(&read);
        for gid in gids {
            if let Some(transaction) = running.core().engine().transaction(gid) {
                self.nobody_waits(transaction, now.mono, scheduler);
            }
        }
    }

    fn forget_pauses(&mut self, gid: &Gid) {
        self.last.retain(|(of, ..), _| of != gid);
    }

    fn is_no_storm(&mut self, leg: Leg, now: Mono, scheduler: &mut Scheduler) {
        let Some((failed, not_before)) = self.last.get(&leg) else { return };
        let (gid, branch, op) = &leg;
        if now < *not_before {
            scheduler.broke(format!("{gid}/{branch}: {op} came before the time it asked for"));
        }
        if !failed {
            return;
        }
        let again = self.again.entry(leg.clone()).or_default();
        again.push_back(now);
        while again.front().is_some_and(|first| now.since(*first) > STORM_WITHIN) {
            again.pop_front();
        }
        if again.len() > STORM {
            let times = again.len();
            scheduler.broke(format!("{gid}/{branch}: {op} was called {times} times in 10 s"));
        }
    }

    /// P6: what a branch needs it is called for at once, whatever its siblings do; only what was
    /// called before may pause.
    fn nobody_waits(&mut self, transaction: &Transaction, now: Mono, scheduler: &mut Scheduler) {
        for branch in transaction.branches() {
            let Some(op) = branch.needs(transaction.decision()) else { continue };
            if branch.spec().url(op).is_none() || !transaction.is_in_turn(branch.id()) {
                continue;
            }
            let leg = (transaction.gid().clone(), branch.id().clone(), op);
            let waits = match branch.call_state() {
                CallState::InFlight { .. } => false,
                // It was offered, or would have been but for a pause.
                CallState::Waiting { .. } => {
                    self.called.insert(leg);
                    false
                }
                CallState::Idle => true,
                CallState::Held(until) => *until <= now,
                CallState::Due(at) => *at <= now || !self.called.contains(&leg),
            };
            if let (CallState::Due(at), Phase::Trying { deadline }) =
                (branch.call_state(), transaction.phase())
                && at > deadline
            {
                let (gid, id) = (transaction.gid(), branch.id());
                scheduler.broke(format!("{gid}/{id}: its Try is to be called after the deadline"));
            }
            if waits {
                let (gid, id) = (transaction.gid(), branch.id());
                scheduler.broke(format!("{gid}/{id}: its {op} is not called although it can be"));
            }
        }
        let Some(initiator) = transaction.initiator() else { return };
        let waits = match initiator.call_state() {
            CallState::InFlight { .. } | CallState::Waiting { .. } => false,
            CallState::Idle | CallState::Held(_) => true,
            CallState::Due(at) => *at <= now,
        };
        if waits {
            let gid = transaction.gid();
            scheduler.broke(format!("{gid}: its initiator is not asked although it can be"));
        }
    }
}

fn leg(ticket: &Ticket) -> Leg {
    (ticket.gid.clone(), ticket.branch.clone(), ticket.op)
}

/// When a transaction is given up that is not decided.
fn deadline(gid: &Gid, running: &Running) -> Option<Mono> {
    match running.core().engine().transaction(gid)?.phase() {
        Phase::Trying { deadline } => Some(*deadline),
        Phase::SecondPhase(_) | Phase::Finished { .. } => None,
    }
}

/// Whether an answer is to the call under way, and not to one that was overtaken.
pub(super) fn is_under_way(ticket: &Ticket, running: &Running) -> bool {
    let transaction = running.core().engine().transaction(&ticket.gid);
    let callee = transaction.and_then(|transaction| match ticket.asks {
        true => transaction.initiator(),
        false => transaction.branch(&ticket.branch),
    });
    let expected = CallState::InFlight { op: ticket.op, attempt: ticket.attempt };
    ticket.epoch.0 == running.life && callee.is_some_and(|callee| *callee.call_state() == expected)
}
