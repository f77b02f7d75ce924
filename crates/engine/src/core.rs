//! The synchronous core of the runtime: the engine, and the effects that wait for the disk.
//!
//! ```text
//!  Event ──▶ engine.handle ──▶ records ─────────────────────────▶ append
//!                 │
//!                 └──────────▶ effects ──▶ held until durable ──▶ calls, replies, loads
//!                                              ▲
//!  Event::Durable ─────────────────────────────┘
//! ```
//!
//! The release rule lives here and nowhere else (P1, P3): an effect leaves once the record
//! it waits for is durable. The driver and the model step this.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tercet_wire::{Gid, Mono, Now, Op, Seq};

use crate::dispatch::Destination;
use crate::engine::input::{Input, ReplyTo, Request, Ticket, Until, Wait};
use crate::engine::output::{
    Call, DeferredEffect, Effect, IfTaken, Output, PageRequest, Parked, Refusal, Reply,
};
use crate::engine::{Census, Engine};
use crate::journal_event::Urgency;
use crate::record::Record;

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// Something for the engine.
    Input(Input),
    /// Somebody wants to know when all that is written now is durable.
    Sync(ReplyTo),
    /// The journal fails to write (it goes on trying), or writes again.
    Journal {
        /// Whether it writes.
        healthy: bool,
    },
    /// This life was fenced: nothing more will be durable, and nothing more may leave.
    Fenced,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Commands {
    /// Records to append to the journal.
    pub append: Vec<Record>,
    /// Whether somebody waits for a record of these, or of earlier ones.
    pub urgency: Urgency,
    /// Calls to send to participants.
    pub calls: Vec<Call>,
    /// Replies to requests.
    pub replies: Vec<(ReplyTo, Reply)>,
    /// Those who asked to be told when what was written is durable.
    pub synced: Vec<ReplyTo>,
    /// Those who asked that and will not be told, since the journal does not keep up.
    pub unsynced: Vec<ReplyTo>,
    /// Gids to ask the journal about.
    pub loads: Vec<Gid>,
    /// Pages of paged-out transactions to ask the journal for; one at most is under way.
    pub page_requests: Vec<PageRequest>,
    /// Destinations that are to tell, once, when they have capacity.
    pub notify_when_free: Vec<Destination>,
    /// Calls to be given back if they still wait for their turn.
    pub retract: Vec<Ticket>,
    /// Branches that were parked, and durably so.
    pub parked: Vec<(Gid, Parked)>,
    /// Transactions that were quarantined, and why.
    pub alarms: Vec<(Gid, String)>,
}

impl Commands {
    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The engine and what waits for the disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Core {
    engine: Engine,
    held: BTreeMap<Seq, Vec<Waiting>>,
    syncing: BTreeMap<Seq, Vec<(ReplyTo, Mono)>>,
    durable: Seq,
    /// The last record of each append that is not durable yet, and when it was made.
    unwritten: VecDeque<(Seq, Mono)>,
    /// How long an answer may wait for the disk before the caller is told so.
    request_timeout: Duration,
    journal_healthy: bool,
    /// So much waits for it that no new transactions are to be begun.
    journal_full: bool,
    /// While the journal does not keep up: when to look again for those who waited too long.
    look_again: Option<Mono>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Waiting {
    held: DeferredEffect,
    since: Mono,
}

impl Core {
    /// A core around an engine. `request_timeout`: how long an answer may wait for the disk.
    #[must_use]
    pub fn new(engine: Engine, request_timeout: Duration) -> Self {
        Self {
            engine,
            held: BTreeMap::new(),
            syncing: BTreeMap::new(),
            durable: Seq(0),
            unwritten: VecDeque::new(),
            request_timeout,
            journal_healthy: true,
            journal_full: false,
            look_again: None,
        }
    }

    /// Takes one event in; says what is to be done.
    pub fn step(&mut self, event: Event, now: Now) -> Commands {
        let mut commands = Commands::default();
        let keeping_up = self.is_journal_keeping_up(now);
        self.engine.set_accepting(keeping_up && !self.journal_full);
        match event {
            Event::Input(input) => self.input(input, now, &mut commands),
            Event::Sync(reply_to) => self.advance(reply_to, now, &mut commands),
            Event::Journal { healthy } => self.journal_healthy = healthy,
            Event::Fenced => return self.give_up_all(now),
        }
        self.watch_the_journal(now, &mut commands);
        commands
    }

    /// Says whether so much waits for the journal that no new transactions are to be begun.
    pub fn set_journal_full(&mut self, full: bool) {
        self.journal_full = full;
    }

    /// When `step` wants an `Input::Tick` although nothing comes in.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.engine.next_deadline().into_iter().chain(self.next_give_up()).min()
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Counts the live transactions.
    #[must_use]
    pub fn census(&self) -> Census {
        self.engine.census()
    }

    /// Effects that wait for the disk.
    #[must_use]
    pub fn held_effects(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    /// Whether the journal keeps up: nothing has waited for it longer than it may.
    #[must_use]
    pub fn is_journal_keeping_up(&self, now: Now) -> bool {
        let oldest = self.unwritten.front();
        let late = oldest.is_some_and(|(_, since)| now.mono.since(*since) >= self.request_timeout);
        self.journal_healthy && !late
    }

    fn input(&mut self, input: Input, now: Now, commands: &mut Commands) {
        let durable = match &input {
            Input::Durable(seq) => Some(*seq),
            Input::Exists(gid) => {
                let gid = gid.clone();
                return self.goes_back(&gid, now, commands);
            }
            Input::Quarantined(gid) => {
                self.withdraw(&gid.clone(), |reply_to, _, _| {
                    let reply = Reply::Refused(Refusal::JournalUnavailable);
                    commands.replies.push((reply_to, reply));
                });
                None
            }
            Input::Request(_)
            | Input::Answered(..)
            | Input::NotSent(..)
            | Input::CapacityFreed(_)
            | Input::Loaded(..)
            | Input::PageOfGids(_)
            | Input::Adopt(_)
            | Input::TakingOver { .. }
            | Input::TakenOver(_)
            | Input::HungUp(..)
            | Input::NobodyWaitsBeyond(_)
            | Input::Paused(_)
            | Input::Release
            | Input::Tick => None,
        };
        // Before the engine hears of it: what it pages out for this it no longer knows, and could
        // not say whether what people are told of it is still so.
        if let Some(seq) = durable {
            self.release(seq, commands);
        }
        let output = self.engine.handle(input, now);
        self.take(output, now, commands);
    }

    fn take(&mut self, output: Output, now: Now, commands: &mut Commands) {
        if let Some(last) = output.records.last() {
            self.unwritten.push_back((last.seq, now.mono));
        }
        commands.append.extend(output.records);
        commands.notify_when_free.extend(output.notify_when_free);
        commands.page_requests.extend(output.sweep);
        for held in output.effects {
            if held.after <= self.durable {
                self.let_out(held, commands);
            } else {
                let since = now.mono;
                commands.urgency = Urgency::Now;
                self.held.entry(held.after).or_default().push(Waiting { held, since });
            }
        }
        for ticket in output.retract {
            if self.take_back(&ticket) {
                let not_sent = self.engine.handle(Input::NotSent(ticket, None), now);
                self.take(not_sent, now, commands);
            } else {
                commands.retract.push(ticket);
            }
        }
    }

    /// Drops a call that waits for the disk, if it does: the dispatcher has not seen it yet.
    fn take_back(&mut self, ticket: &Ticket) -> bool {
        let is_it = |waiting: &Waiting| match &waiting.held.effect {
            Effect::Call(call) => call.ticket == *ticket,
            Effect::Reply(..) | Effect::Load | Effect::Parked(_) | Effect::Alarm { .. } => false,
        };
        self.held.values_mut().any(|waiting| {
            let position = waiting.iter().position(is_it);
            position.map(|position| waiting.remove(position)).is_some()
        })
    }

    fn release(&mut self, durable: Seq, commands: &mut Commands) {
        self.durable = self.durable.max(durable);
        while self.unwritten.front().is_some_and(|(seq, _)| *seq <= self.durable) {
            self.unwritten.pop_front();
        }
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() > self.durable {
                break;
            }
            for waiting in entry.remove() {
                self.let_out(waiting.held, commands);
            }
        }
        while let Some(entry) = self.syncing.first_entry() {
            if *entry.key() > self.durable {
                break;
            }
            commands.synced.extend(entry.remove().into_iter().map(|(reply_to, _)| reply_to));
        }
    }

    fn let_out(&self, held: DeferredEffect, commands: &mut Commands) {
        match held.effect {
            Effect::Reply(reply_to, reply, _) => commands.replies.push((reply_to, reply)),
            Effect::Call(call) => {
                // A Try that was overtaken by the decision while it waited would only
                // arrive after its own Cancel.
                if call.ticket.op != Op::Try || self.engine.wants(&call.ticket) {
                    commands.calls.push(call);
                }
            }
            Effect::Load => commands.loads.push(held.gid),
            Effect::Parked(parked) => {
                // Its participant may have given a sign of life while this waited.
                if self.engine.is_news(&held.gid, &parked) {
                    commands.parked.push((held.gid, parked));
                }
            }
            Effect::Alarm { why } => commands.alarms.push((held.gid, why)),
        }
    }

    fn advance(&mut self, reply_to: ReplyTo, now: Now, commands: &mut Commands) {
        let last = self.engine.last_record();
        if last <= self.durable {
            commands.synced.push(reply_to);
        } else {
            commands.urgency = Urgency::Now;
            self.syncing.entry(last).or_default().push((reply_to, now.mono));
        }
    }

    /// The gid of a new transaction is taken: whoever was to be told that they have begun it, or has
    /// read it, asks the journal, and meets the one that holds it. Who else was to be told of it must
    /// ask again.
    fn goes_back(&mut self, gid: &Gid, now: Now, commands: &mut Commands) {
        let mut inputs = vec![Input::Exists(gid.clone())];
        let again =
            |reply_to, reply: &Reply, if_taken| asked_again(gid, reply_to, reply, if_taken, now);
        self.withdraw(gid, |reply_to, reply, if_taken| match again(reply_to, reply, if_taken) {
            Some(request) => inputs.push(Input::Request(request)),
            None => {
                let reply = Reply::Refused(Refusal::JournalUnavailable);
                commands.replies.push((reply_to, reply));
            }
        });
        for input in inputs {
            let output = self.engine.handle(input, now);
            self.take(output, now, commands);
        }
    }

    /// This life is over: what it holds back never leaves, and everybody who waits is told.
    fn give_up_all(&mut self, now: Now) -> Commands {
        let mut commands = Commands::default();
        let refused = || Reply::Refused(Refusal::JournalUnavailable);
        for waiting in std::mem::take(&mut self.held).into_values().flatten() {
            if let Effect::Reply(reply_to, ..) = waiting.held.effect {
                commands.replies.push((reply_to, refused()));
            }
        }
        let syncing = std::mem::take(&mut self.syncing).into_values().flatten();
        commands.unsynced.extend(syncing.map(|(reply_to, _)| reply_to));
        let mut output = Output::default();
        self.engine.give_up_all(&mut output);
        self.take(output, now, &mut commands);
        commands
    }

    /// The records of this transaction will never be durable: nothing that waits for them
    /// may leave, and who asked must ask again.
    fn withdraw(&mut self, gid: &Gid, mut told: impl FnMut(ReplyTo, &Reply, IfTaken)) {
        for waiting in self.held.values_mut() {
            waiting.retain(|waiting| {
                if waiting.held.gid != *gid {
                    return true;
                }
                if let Effect::Reply(reply_to, reply, if_taken) = &waiting.held.effect {
                    told(*reply_to, reply, *if_taken);
                }
                false
            });
        }
        self.held.retain(|_, waiting| !waiting.is_empty());
    }

    /// While the journal does not keep up, who has waited too long is told that the outcome is
    /// unknown.
    fn watch_the_journal(&mut self, now: Now, commands: &mut Commands) {
        if self.next_give_up().is_none_or(|at| at > now.mono) {
            return;
        }
        let too_long = |since: Mono| now.mono.since(since) >= self.request_timeout;
        for waiting in self.held.values_mut() {
            waiting.retain(|waiting| match &waiting.held.effect {
                Effect::Reply(reply_to, ..) if too_long(waiting.since) => {
                    let reply = Reply::Refused(Refusal::JournalUnavailable);
                    commands.replies.push((*reply_to, reply));
                    false
                }
                Effect::Reply(..)
                | Effect::Call(_)
                | Effect::Load
                | Effect::Parked(_)
                | Effect::Alarm { .. } => true,
            });
        }
        self.held.retain(|_, waiting| !waiting.is_empty());
        for waiting in self.syncing.values_mut() {
            waiting.retain(|(reply_to, since)| {
                if too_long(*since) {
                    commands.unsynced.push(*reply_to);
                }
                !too_long(*since)
            });
        }
        self.syncing.retain(|_, waiting| !waiting.is_empty());
        let mut output = Output::default();
        self.engine.give_up_waiting(self.durable, too_long, &mut output);
        self.take(output, now, commands);
        self.look_again = Some(now.mono.after(self.request_timeout / 4));
    }

    /// When somebody may have waited too long for the journal.
    fn next_give_up(&self) -> Option<Mono> {
        let (_, since) = self.unwritten.front()?;
        let first_look = since.after(self.request_timeout);
        Some(self.look_again.map_or(first_look, |again| again.max(first_look)))
    }
}

/// The request that was to be answered with a transaction whose gid is another's. It has waited for
/// what it wanted to wait for, so it is answered as soon as there is an answer.
fn asked_again(
    gid: &Gid,
    reply_to: ReplyTo,
    reply: &Reply,
    if_taken: IfTaken,
    now: Now,
) -> Option<Request> {
    let Reply::Transaction { snapshot, .. } = reply else { return None };
    let ask = if_taken.asks(&snapshot.transaction)?;
    let wait = Wait { until: Until::Accepted, give_up: now.mono };
    Some(Request { reply_to, gid: gid.clone(), ask, wait })
}
