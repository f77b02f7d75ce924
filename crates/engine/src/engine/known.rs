//! What is done with a transaction that is in memory.

use tercet_wire::{Answer, BranchId, Epoch, Gid, JobDeed, Now, Op, Seq, host_port};

use crate::dispatch::Destination;
use crate::engine::input::{Ask, Request, Ticket};
use crate::engine::live_transaction::{LiveTransaction, Purpose, Waiter};
use crate::engine::output::{DeferredEffect, Effect, IfTaken, Output, Parked, Refusal, Reply};
use crate::engine::{Engine, at_once};
use crate::transaction::{Branch, CallState, Registered, Step, Transaction};

/// What a call is to its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The one under way.
    UnderWay,
    /// It was under way when an operator's word took effect.
    Overtaken,
    /// Of an earlier life, or of an earlier attempt.
    Late,
}

impl Engine {
    pub(super) fn ask_known(&mut self, request: Request, now: Now, output: &mut Output) {
        let Request { reply_to, gid, ask, wait } = request;
        let resolves_many =
            matches!(&ask, Ask::OfJob(act) if matches!(act.does, JobDeed::Resolve { .. }));
        // A call that waits goes to where it was called; it is taken back, and made anew.
        let left_behind = match &ask {
            Ask::Readdress(word) => {
                let transaction = self.live.get(&gid).map(LiveTransaction::transaction);
                transaction.and_then(|it| call_under_way(self.epoch, it, &word.branch))
            }
            _ => None,
        };
        let is_readdressed = matches!(ask, Ask::Readdress(_));
        let purpose = if matches!(ask, Ask::Read) {
            // Reading changes nothing, so it works even for one whose rules failed.
            Ok(Purpose::Read)
        } else {
            let room = self.room_for_more();
            let asked = self
                .change(&gid, now, output, |transaction, step| asked(transaction, ask, room, step));
            asked.unwrap_or(Err(Refusal::Quarantined))
        };
        let Some(live_transaction) = self.live.get_mut(&gid) else {
            // Nobody comes here who has not looked. Whoever asks is not left without an answer.
            debug_assert!(false, "{gid} is asked something and is not there");
            let reply = Effect::Reply(
                reply_to,
                Reply::Refused(Refusal::JournalUnavailable),
                IfTaken::IsUnknown,
            );
            return output.effects.push(at_once(&gid, reply));
        };
        // It may stay evictable all through: who asks may be answered at once.
        if live_transaction.transaction.decision().is_none() {
            self.paging.is_spoken_of(&gid, &mut live_transaction.residence);
        }
        if is_readdressed && purpose.is_ok() {
            // Of several words in one step each would take back what was made anew for the one before.
            let left_behind = left_behind.filter(|ticket| !output.retract.contains(ticket));
            output.retract.extend(left_behind);
            live_transaction.tally.is_to_be_counted();
        }
        if let Ok(Purpose::Resolve { branch, .. }) = &purpose {
            output.retract.extend(call_under_way(
                self.epoch,
                &live_transaction.transaction,
                branch,
            ));
        }
        if resolves_many {
            let transaction = &live_transaction.transaction;
            let resolved = transaction
                .branches()
                .iter()
                .filter(|branch| branch.pending_resolution().is_some());
            let under_way = |branch: &Branch| call_under_way(self.epoch, transaction, branch.id());
            output.retract.extend(resolved.filter_map(under_way));
        }
        match purpose {
            Ok(purpose) => {
                let mut wait = wait;
                if live_transaction.waiters.len() >= self.settings.waiters {
                    wait.give_up = now.mono;
                }
                live_transaction.waiters.push(Waiter { reply_to, purpose, wait, since: now.mono });
            }
            Err(refusal) => {
                // A refusal tells how the transaction stands, so it waits like any other answer,
                // unless it tells how it stands with the node.
                let of_the_node =
                    matches!(refusal, Refusal::NotAccepted | Refusal::TooManyBytes { .. });
                let after = if of_the_node { Seq(0) } else { live_transaction.release_after };
                let effect = Effect::Reply(reply_to, Reply::Refused(refusal), IfTaken::IsUnknown);
                output.effects.push(DeferredEffect { after, gid: gid.clone(), effect });
            }
        }
        self.update(&gid, now, output);
    }

    pub(super) fn answered(
        &mut self,
        ticket: &Ticket,
        answer: &Answer,
        now: Now,
        output: &mut Output,
    ) {
        if ticket.asks {
            // What comes when it is no longer asked, since it is decided, changes nothing.
            if self.is_asked(ticket) {
                let answered = |transaction: &mut Transaction, step: &mut Step<'_>| {
                    transaction.initiator_answered(answer, step);
                };
                self.run(&ticket.gid, now, output, answered);
            }
            return;
        }
        let op = ticket.op;
        self.run_call(ticket, now, output, |transaction, (position, found), step| match found {
            Found::UnderWay => transaction.answered(position, op, answer, step),
            Found::Overtaken => transaction.overtaken_answered(position, op, answer, step),
            Found::Late => transaction.answered_late(position, op, answer, step),
        });
    }

    pub(super) fn not_sent(
        &mut self,
        ticket: &Ticket,
        at: Option<Destination>,
        now: Now,
        output: &mut Output,
    ) {
        if ticket.asks {
            if self.is_asked(ticket) {
                self.run(&ticket.gid, now, output, |transaction, step| {
                    transaction.ask_not_sent(at, step);
                });
            }
            return;
        }
        let op = ticket.op;
        self.run_call(ticket, now, output, |transaction, (position, found), step| match found {
            Found::UnderWay => transaction.not_sent(position, op, at, step),
            Found::Overtaken => {
                let why = "it was never made".to_owned();
                transaction.overtaken_answered(position, op, &Answer::Nothing { why }, step);
            }
            Found::Late => {}
        });
    }

    /// Whether the transaction still wants this call: a Try that had to wait for the
    /// journal may have been overtaken by the decision.
    pub(crate) fn wants(&self, ticket: &Ticket) -> bool {
        match ticket.asks {
            true => self.is_asked(ticket),
            false => {
                let transaction = self.live.get(&ticket.gid).map(LiveTransaction::transaction);
                let found = transaction.and_then(|it| find_call(self.epoch, it, ticket));
                found.is_some_and(|(_, found)| found == Found::UnderWay)
            }
        }
    }

    /// Changes the transaction of a call that it knows, and brings everything else up to date with
    /// it.
    fn run_call(
        &mut self,
        ticket: &Ticket,
        now: Now,
        output: &mut Output,
        change: impl FnOnce(&mut Transaction, (usize, Found), &mut Step<'_>),
    ) {
        let epoch = self.epoch;
        let Some(mut entry) = self.entry(&ticket.gid) else { return };
        let Some(call) = find_call(epoch, entry.transaction(), ticket) else { return };
        entry.change(now, output, |transaction, step| change(transaction, call, step));
        entry.update(now, output);
        debug_assert_eq!(self.check_one(&ticket.gid), Ok(()));
    }

    /// Whether this call asks an initiator that is still to be asked.
    fn is_asked(&self, ticket: &Ticket) -> bool {
        let transaction = self.live.get(&ticket.gid).map(LiveTransaction::transaction);
        let transaction = transaction.filter(|it| it.instance() == ticket.instance);
        let under_way = CallState::InFlight { op: ticket.op, attempt: ticket.attempt };
        let initiator = transaction.and_then(Transaction::initiator);
        ticket.epoch == self.epoch && initiator.is_some_and(|it| *it.call_state() == under_way)
    }

    /// Whether people are still to be told of a parked branch: not if it was given a sign of life
    /// since, or its participant was paused, nor of an initiator whose transaction is decided. Of one
    /// that is not here any more they are.
    pub(crate) fn is_news(&self, gid: &Gid, parked: &Parked) -> bool {
        let transaction = self.live.get(gid).map(LiveTransaction::transaction);
        if parked.asks && transaction.is_some_and(|it| it.decision().is_some()) {
            return false;
        }
        let branch = transaction.and_then(|it| it.callee(&parked.branch.id, parked.asks));
        branch.is_none_or(|branch| match branch.waits_since() {
            Some(since) => since == parked.since_mono,
            None => branch.is_parked(),
        })
    }

    /// Whether what was parked is, for all that has happened since.
    #[must_use]
    pub fn is_parked_still(&self, gid: &Gid, parked: &Parked) -> bool {
        let transaction = self.live.get(gid).map(LiveTransaction::transaction);
        let transaction = transaction.filter(|it| it.instance() == parked.instance);
        let branch = transaction.and_then(|it| it.callee(&parked.branch.id, parked.asks));
        branch.is_some_and(Branch::is_parked)
    }

    /// The `host:port` that a call went to, if its transaction is here.
    #[must_use]
    pub fn participant_of(&self, ticket: &Ticket) -> Option<String> {
        let transaction = self.live.get(&ticket.gid)?.transaction();
        let branch = transaction.callee(&ticket.branch, ticket.asks)?;
        branch.spec().url(ticket.op).map(|url| host_port(url))
    }
}

/// The position of the branch a ticket names, and what the call is to it in this life.
fn find_call(epoch: Epoch, transaction: &Transaction, ticket: &Ticket) -> Option<(usize, Found)> {
    if transaction.instance() != ticket.instance {
        return None;
    }
    let position = transaction.position(&ticket.branch)?;
    let branch = transaction.branches().get(position)?;
    let under_way = CallState::InFlight { op: ticket.op, attempt: ticket.attempt };
    let found = if ticket.epoch != epoch {
        Found::Late
    } else if *branch.call_state() == under_way {
        Found::UnderWay
    } else if branch.is_overtaken(ticket.op, ticket.attempt) {
        Found::Overtaken
    } else {
        Found::Late
    };
    Some((position, found))
}

/// What a request other than a read means for a transaction that exists.
fn asked(
    transaction: &mut Transaction,
    ask: Ask,
    room: Result<(), Refusal>,
    step: &mut Step<'_>,
) -> Result<Purpose, Refusal> {
    let repeat = transaction.decision().is_some();
    if transaction.is_held() && is_kept_from_what_is_held(&ask) {
        return Err(Refusal::Held);
    }
    match ask {
        Ask::Begin { spec, .. } => {
            match transaction.spec().fingerprint.answers(&spec.fingerprint) {
                true => Ok(Purpose::Begin { created: false }),
                false => Err(Refusal::GidReused),
            }
        }
        Ask::Register(new) => {
            let created = transaction.register(&new, room, step)? == Registered::New;
            Ok(Purpose::Register { branch: new.id.clone(), created })
        }
        Ask::RegisterAtOnce(new) => {
            let created = transaction.register_at_once(&new, room, step)? == Registered::New;
            let branches = new.into_iter().map(|branch| branch.id).collect();
            Ok(Purpose::RegisterAtOnce { branches, created })
        }
        Ask::Confirm => {
            transaction.confirm(step)?;
            Ok(Purpose::Decide { op: Op::Confirm, repeat })
        }
        Ask::Cancel { detail, if_unknown: _ } => {
            transaction.cancel(detail, step)?;
            Ok(Purpose::Decide { op: Op::Cancel, repeat })
        }
        Ask::DecideHeld(decision) => {
            let op = decision.op;
            transaction.decide_held(*decision, step)?;
            Ok(Purpose::Decide { op, repeat })
        }
        Ask::Retry { by } => {
            transaction.retry(&by, step);
            Ok(Purpose::Act)
        }
        Ask::Resolve(word) => {
            let purpose = Purpose::Resolve { branch: word.branch.clone(), as_: word.as_ };
            transaction.resolve(*word, step)?;
            Ok(purpose)
        }
        Ask::OfJob(act) => {
            transaction.comes_to(&act, step)?;
            Ok(Purpose::Act)
        }
        Ask::Readdress(word) => {
            transaction.readdress(*word, step)?;
            Ok(Purpose::Act)
        }
        Ask::Read => Ok(Purpose::Read),
    }
}

/// Whether what is asked would have a transaction that is held go on.
fn is_kept_from_what_is_held(ask: &Ask) -> bool {
    match ask {
        Ask::Register(_)
        | Ask::RegisterAtOnce(_)
        | Ask::Confirm
        | Ask::Cancel { .. }
        | Ask::Retry { .. } => true,
        // Nothing is decided that a branch could be resolved as, and it is told so. A job writes down
        // that it could not.
        Ask::Begin { .. }
        | Ask::DecideHeld(_)
        | Ask::Resolve(_)
        | Ask::OfJob(_)
        | Ask::Readdress(_)
        | Ask::Read => false,
    }
}

/// The call of a branch that is under way, or waits for its turn at the dispatcher.
fn call_under_way(epoch: Epoch, transaction: &Transaction, id: &BranchId) -> Option<Ticket> {
    let CallState::InFlight { op, attempt } = *transaction.branch(id)?.call_state() else {
        return None;
    };
    let (gid, branch) = (transaction.gid().clone(), id.clone());
    Some(Ticket { epoch, gid, instance: transaction.instance(), branch, op, attempt, asks: false })
}
