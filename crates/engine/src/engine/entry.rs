//! One live transaction and what each part of the engine keeps of it, looked up once for all that
//! one input does with it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tercet_wire::{Epoch, Gid, Now, Seq};

use crate::act::Acted;
use crate::engine::capacity::CapacityWaits;
use crate::engine::input::Ticket;
use crate::engine::live::Totals;
use crate::engine::live_transaction::{Fault, LiveTransaction};
use crate::engine::output::{
    Call, DeferredEffect, Effect, IfTaken, Output, Parked, Refusal, Reply,
};
use crate::engine::paging::Paging;
use crate::engine::timers::Timers;
use crate::engine::{Engine, EngineSettings, at_once};
use crate::invariants::moved_rightly;
use crate::job::Ticked;
use crate::record::{Change, Record};
use crate::transaction::{Doubt, ParkedNow, Step, Transaction, Wanted, not_before};

/// One live transaction, with the parts of the engine that follow it.
pub(super) struct Entry<'a> {
    gid: &'a Gid,
    live_transaction: &'a mut LiveTransaction,
    totals: &'a mut Totals,
    timers: &'a mut Timers,
    capacity: &'a mut CapacityWaits,
    paging: &'a mut Paging,
    settings: &'a EngineSettings,
    epoch: Epoch,
    /// The last record written.
    last: &'a mut Seq,
}

impl Engine {
    /// That of this gid, if it is here.
    pub(super) fn entry<'a>(&'a mut self, gid: &'a Gid) -> Option<Entry<'a>> {
        let (live_transaction, totals) = self.live.entry(gid)?;
        Some(Entry {
            gid,
            live_transaction,
            totals,
            timers: &mut self.timers,
            capacity: &mut self.capacity,
            paging: &mut self.paging,
            settings: &self.settings,
            epoch: self.epoch,
            last: &mut self.last,
        })
    }

    /// Changes a transaction, and brings everything else up to date with it.
    pub(super) fn run<R>(
        &mut self,
        gid: &Gid,
        now: Now,
        output: &mut Output,
        change: impl FnOnce(&mut Transaction, &mut Step<'_>) -> R,
    ) -> Option<R> {
        let Some(mut entry) = self.entry(gid) else {
            debug_assert!(false, "{gid} is changed and is not there");
            return None;
        };
        let changed = entry.change(now, output, change);
        entry.update(now, output);
        debug_assert_eq!(self.check_one(gid), Ok(()));
        changed
    }

    /// Changes it; what is kept of it is to be brought up to date.
    pub(super) fn change<R>(
        &mut self,
        gid: &Gid,
        now: Now,
        output: &mut Output,
        change: impl FnOnce(&mut Transaction, &mut Step<'_>) -> R,
    ) -> Option<R> {
        self.entry(gid)?.change(now, output, change)
    }

    /// Brings everything else up to date with it.
    pub(super) fn update(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        let Some(mut entry) = self.entry(gid) else {
            debug_assert!(false, "{gid} is brought up to date and is not there");
            return;
        };
        entry.update(now, output);
        debug_assert_eq!(self.check_one(gid), Ok(()));
    }
}

impl Entry<'_> {
    pub(super) fn transaction(&self) -> &Transaction {
        &self.live_transaction.transaction
    }

    /// Runs the rules of one transaction on a copy, and puts the copy in its place. If they
    /// panic the old value stays, is quarantined, and nobody else notices.
    pub(super) fn change<R>(
        &mut self,
        now: Now,
        output: &mut Output,
        change: impl FnOnce(&mut Transaction, &mut Step<'_>) -> R,
    ) -> Option<R> {
        let (gid, live_transaction) = (self.gid, &mut *self.live_transaction);
        if live_transaction.is_quarantined() {
            return None;
        }
        let mut next = live_transaction.transaction.clone();
        let mut now = now;
        if let Some(decided) = next.decided() {
            now.wall = not_before(now.wall, decided.at);
        }
        let mut step = Step::new(now, &self.settings.rules);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let result = change(&mut next, &mut step);
            next.advance(&mut step);
            // A change that breaks a promise is a fault of ours: it must not get out.
            if let Err(broken) = moved_rightly(&live_transaction.transaction, &next) {
                panic!("{broken}");
            }
            result
        }));
        let result = match ran {
            Ok(result) => result,
            Err(panic) => {
                live_transaction.quarantined = Some(Fault::Rules);
                let why = format!("its rules failed: {}", message(panic.as_ref()));
                output.effects.push(at_once(gid, Effect::Alarm { why }));
                return None;
            }
        };
        live_transaction.transaction = next;
        let Step { changes, completion, calls, parked, act, tick, .. } = step;
        let changes = match act {
            Some(act) => vec![Change::Acted(Box::new(Acted { act: *act, changes }))],
            None => changes,
        };
        // What a job does is a part of an act that has its row already.
        let changes = match tick {
            Some(tick) => vec![Change::Ticked(Box::new(Ticked { tick: *tick, changes }))],
            None => changes,
        };
        let instance = live_transaction.transaction.instance();
        let mut last = *self.last;
        let mut write = |change: Change| {
            last = Seq(last.0 + 1);
            output.records.push(Record { seq: last, gid: gid.clone(), instance, change });
            last
        };
        for change in changes {
            live_transaction.release_after = write(change);
        }
        // Nobody waits for completion, but the transaction stays until it is durable.
        let leaves_after = completion.into_iter().map(&mut write).last();
        *self.last = last;
        for ParkedNow { branch, op, attempts, doubt, asks } in parked {
            let branch = live_transaction.transaction.callee(&branch.id, asks);
            // An operator's word may have ended it in the same moment.
            let Some(branch) = branch.filter(|branch| branch.is_parked()) else { continue };
            let parked = Parked {
                instance,
                branch: Arc::clone(branch.spec()),
                op,
                asks,
                attempts,
                last_error: branch.last_error().cloned(),
                last_answer: branch.last_answer().cloned(),
                unreachable: branch.is_unreachable(),
                hopeless: doubt == Doubt::Hopeless,
                since: now.wall_at(branch.waits_since().unwrap_or(now.mono)),
                since_mono: branch.waits_since().unwrap_or(now.mono),
                at: now.wall,
            };
            let (after, effect) = (live_transaction.release_after, Effect::Parked(parked));
            output.effects.push(DeferredEffect { after, gid: gid.clone(), effect });
        }
        for Wanted { branch, op, attempt, asks, results } in calls {
            let call = Call {
                ticket: Ticket {
                    epoch: self.epoch,
                    gid: gid.clone(),
                    instance,
                    branch: branch.id.clone(),
                    op,
                    attempt,
                    asks,
                },
                branch,
                spec: Arc::clone(live_transaction.transaction.spec()),
                deadline_at: match asks {
                    true => None,
                    false => live_transaction.transaction.deadline_for(op),
                },
                results,
            };
            let (after, effect) = (live_transaction.release_after, Effect::Call(call));
            output.effects.push(DeferredEffect { after, gid: gid.clone(), effect });
        }
        if let Some(needs) = leaves_after {
            live_transaction.finished_by = Some(needs);
        }
        // What a call that was overtaken still says belongs to it: it stays until that is known.
        if let Some(needs) = live_transaction.finished_by
            && !live_transaction.transaction.awaits_overtaken_calls()
        {
            let needs = needs.max(live_transaction.release_after);
            self.totals.leaves_after(gid, live_transaction, needs);
        }
        Some(result)
    }

    /// Answers those who have waited long enough or for what has come, and brings what each part
    /// keeps of the transaction up to date.
    pub(super) fn update(&mut self, now: Now, output: &mut Output) {
        let (gid, live_transaction) = (self.gid, &mut *self.live_transaction);
        self.totals.recount(live_transaction);
        for waiter in live_transaction.take_unanswerable() {
            let reply = Reply::Refused(Refusal::Quarantined);
            output.effects.push(at_once(gid, Effect::Reply(waiter, reply, IfTaken::IsUnknown)));
        }
        let after = live_transaction.release_after;
        let paused = self.settings.rules.paused.names();
        for (reply_to, reply, if_taken) in live_transaction.take_answers(paused, now) {
            let effect = Effect::Reply(reply_to, reply, if_taken);
            output.effects.push(DeferredEffect { after, gid: gid.clone(), effect });
        }
        let settings = self.settings;
        let due = live_transaction.next_due(&settings.rules);
        self.timers.set(gid, &mut live_transaction.timer, due);
        let (waits, backs_off) = live_transaction.waits_at(settings.destination_path_segments);
        let (waits_at, notify) = (&mut live_transaction.waits_at, &mut output.notify_when_free);
        self.capacity.set(gid, waits_at, waits, backs_off, now, notify);
        let (bytes, from) = (live_transaction.tally.bytes(), live_transaction.evictable_from(now));
        self.paging.set(gid, &mut live_transaction.residence, bytes, from);
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
