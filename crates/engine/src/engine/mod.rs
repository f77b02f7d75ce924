//! The engine over all live transactions. Pure: inputs and the time go in, records and
//! effects come out, and nothing else happens.
//!
//! ```text
//!  Input ──▶ find the transaction ──▶ take it out ──▶ its rules ──▶ put it back ──▶ Output
//!               │ not in memory           (a panic leaves the old value,          records: to be durable
//!               ▼                          quarantined, and stops nobody else)      effects: wait for them
//!            Effect::Load ──▶ Input::Loaded
//! ```
//!
//! What lives longer than one step is kept in parts: `live`, `timers`, `capacity`, `paging` and
//! `loading`. A transaction carries its own entries in them, which only the part can change.
//!
//! Memory is the truth for live transactions: the hot path reads nothing. A finished
//! transaction leaves once its last record is durable, so nobody sees it go back.

mod arrivals;
mod by_destination;
mod capacity;
mod check;
mod entry;
pub(crate) mod input;
mod known;
mod live;
mod live_transaction;
mod loading;
pub(crate) mod output;
mod paging;
mod pauses;
mod room;
mod timers;
mod unknown;
mod waiting_for;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_wire::{Epoch, Gid, Mono, Now, Seq, Status, Wall};

use crate::engine::arrivals::Arrivals;
use crate::engine::capacity::CapacityWaits;
use crate::engine::input::{Input, ReplyTo, Request};
use crate::engine::live::Live;
use crate::engine::live_transaction::LiveTransaction;
use crate::engine::loading::Loading;
use crate::engine::output::{DeferredEffect, Effect, IfTaken, Output, Refusal, Reply};
use crate::engine::paging::Paging;
use crate::engine::timers::Timers;
use crate::engine::unknown::refuse_unread;
use crate::transaction::{Rules, Transaction};
pub use waiting_for::WaitingFor;

/// Timers run in one step.
const DUE_AT_ONCE: usize = 1_024;

/// The numbers the engine goes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EngineSettings {
    /// The rules of each transaction.
    pub rules: Rules,
    /// Live transactions beyond which begin is refused.
    pub live_transactions: usize,
    /// Bytes of live transactions beyond which begin is refused.
    pub live_bytes: usize,
    /// Transactions that only wait, for a participant or for their initiator, and stay in memory.
    pub in_memory_waiting_transactions: usize,
    /// Bytes of those.
    pub in_memory_waiting_bytes: usize,
    /// Transactions that are paged out to the journal beyond which begin is refused.
    pub paged_out_transactions: usize,
    /// Path segments that tell destinations apart, as for the dispatcher.
    pub destination_path_segments: usize,
    /// At this start the wall clock is further ahead of the journal than any stop explains:
    /// deadlines that it says are over get one more round of Try.
    pub clock_doubted: bool,
    /// Requests that may wait for one transaction; others are told at once how it stands.
    pub waiters: usize,
    /// How long the journal may take to say whether it knows a gid.
    pub load_within: Duration,
}

impl EngineSettings {
    /// How many transactions that only wait stay in memory, and how many bytes of them. They leave
    /// half of what there is to others.
    fn most_waiting(&self) -> (usize, usize) {
        (
            self.in_memory_waiting_transactions.min((self.live_transactions / 2).max(1)),
            self.in_memory_waiting_bytes.min(self.live_bytes / 2),
        )
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            live_transactions: 100_000,
            live_bytes: 256 * 1024 * 1024,
            in_memory_waiting_transactions: 10_000,
            in_memory_waiting_bytes: 64 * 1024 * 1024,
            paged_out_transactions: 1_000_000,
            destination_path_segments: 1,
            clock_doubted: false,
            waiters: 1_000,
            load_within: Duration::from_secs(5),
        }
    }
}

/// The engine, in parts. Each keeps its own indices in agreement with what the live transactions
/// carry of it, and can say whether they agree (`check`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Engine {
    settings: EngineSettings,
    epoch: Epoch,
    /// The live transactions themselves.
    live: Live,
    /// When each of them has something to do by itself.
    timers: Timers,
    /// Which of them wait for a destination.
    capacity: CapacityWaits,
    /// Which of them may leave for the journal, and what has left.
    paging: Paging,
    /// Gids that the journal was asked about.
    loading: Loading,
    /// Until when begins ask the journal about gids of their initiators' before anything is written of them.
    asking_first: Option<Mono>,
    /// What is taken over and was not read yet.
    arrivals: Arrivals,
    /// Transactions in the journal whose rows make no sense, as far as it was noticed.
    unreadable: BTreeSet<Gid>,
    /// The last record written.
    last: Seq,
    /// The last record known to be durable.
    durable: Seq,
    /// Whether new transactions are taken.
    accepting: bool,
    /// While the node stops: when the last waiter is told how things stand.
    last_wait: Option<Mono>,
}

/// How many unfinished transactions stand where, and since when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Live transactions by status, with the creation time of the oldest; but for those that wait
    /// for nobody until the time of their Confirms, which are of no age.
    pub by_status: BTreeMap<Status, (usize, Option<Wall>)>,
    /// Branches shown to people.
    pub parked_branches: usize,
    /// Transactions quarantined: after a fault of ours, or because their rows make no sense.
    pub quarantined: usize,
    /// Transactions that are held since the database was restored.
    pub held: usize,
    /// Of those counted, how many are paged out to the journal until their participants have room.
    pub paged_out: usize,
    /// Bytes of memory that live transactions take.
    pub live_bytes: usize,
}

impl Census {
    fn count(&mut self, status: Status, more: usize, oldest: Option<Wall>) {
        let seen = self.by_status.entry(status).or_default();
        *seen = (seen.0 + more, seen.1.into_iter().chain(oldest).min());
    }
}

impl Engine {
    /// An engine without transactions.
    #[must_use]
    pub fn new(epoch: Epoch, mut settings: EngineSettings) -> Self {
        settings.rules.paused.tells_apart_by(settings.destination_path_segments);
        Self {
            settings,
            epoch,
            live: Live::default(),
            timers: Timers::default(),
            capacity: CapacityWaits::default(),
            paging: Paging::default(),
            loading: Loading::default(),
            asking_first: None,
            arrivals: Arrivals::default(),
            unreadable: BTreeSet::new(),
            last: Seq(0),
            durable: Seq(0),
            accepting: true,
            last_wait: None,
        }
    }

    /// Handles one input.
    pub fn handle(&mut self, input: Input, now: Now) -> Output {
        let mut output = Output::default();
        if let Input::CapacityFreed(freed) = &input {
            self.heals(freed, now);
        }
        self.wake_who_backs_off(now, &mut output);
        match input {
            Input::Request(request) => self.request(request, now, &mut output),
            Input::Answered(ticket, answer) => self.answered(&ticket, &answer, now, &mut output),
            Input::NotSent(ticket, at) => self.not_sent(&ticket, at, now, &mut output),
            Input::CapacityFreed(freed) => self.capacity_freed(&freed, now, &mut output),
            Input::Loaded(gid, load) => self.loaded(&gid, load, now, &mut output),
            Input::PageOfGids(gids) => self.page_of_gids(gids, now, &mut output),
            Input::Adopt(stored) => self.adopt_at_start(&stored, now, &mut output),
            Input::Durable(seq) => self.durable(seq, now),
            Input::TakingOver { dead, gids } => self.taking_over(dead, gids),
            Input::TakenOver(gids) => self.taken_over(gids),
            Input::Exists(gid) => self.drop_unwritten(&gid, now, &mut output),
            Input::Quarantined(gid) => self.quarantined(&gid, now, &mut output),
            Input::HungUp(gid, reply_to) => self.hung_up(&gid, reply_to, now, &mut output),
            Input::NobodyWaitsBeyond(moment) => self.nobody_waits_beyond(moment, now, &mut output),
            Input::Paused(participants) => self.paused(participants, now, &mut output),
            Input::Release => self.release(now, &mut output),
            Input::Tick => {}
        }
        self.leave_what_is_over();
        self.run_what_is_due(now, &mut output);
        self.evict_and_page_in(now, &mut output);
        if self.arrivals.are_waiting() {
            self.ask_for_arrivals(now, &mut output);
        }
        debug_assert_eq!(self.check_sizes(), Ok(()));
        output
    }

    /// When the engine has something to do although nothing comes in.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let timers = self.timers.next().into_iter().chain(self.loading.next());
        let pages = self.paging.next(self.loading.of_page());
        let pages = pages.into_iter().chain(self.next_eviction());
        let next = timers.chain(pages).chain(self.capacity.next()).chain(self.next_wake()).min();
        if !self.arrivals.are_waiting() {
            return next;
        }
        self.arrivals.next(self.loading.arrivals()).into_iter().chain(next).min()
    }

    /// The last record written.
    #[must_use]
    pub fn last_record(&self) -> Seq {
        self.last
    }

    /// Whether new transactions are taken. Everything else always is.
    pub fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting;
    }

    /// The live transaction of this id.
    #[must_use]
    pub fn transaction(&self, gid: &Gid) -> Option<&Transaction> {
        self.live.get(gid).map(LiveTransaction::transaction)
    }

    /// Whether this request waits for something of a live transaction.
    #[must_use]
    pub fn is_waiting(&self, gid: &Gid, reply_to: ReplyTo) -> bool {
        let waits =
            |live: &LiveTransaction| live.waiters.iter().any(|waiter| waiter.reply_to == reply_to);
        self.live.get(gid).is_some_and(waits)
    }

    /// Counts the live transactions.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census { quarantined: self.unreadable.len(), ..Census::default() };
        for (_, live_transaction) in self.live.iter() {
            let transaction = live_transaction.transaction();
            let begun = (!transaction.is_asleep()).then(|| transaction.counts_from());
            census.count(transaction.status(), 1, begun);
            let parked = transaction.callees().filter(|branch| branch.is_parked());
            census.parked_branches += parked.count();
            census.quarantined += usize::from(live_transaction.is_quarantined());
            census.held += usize::from(transaction.is_held());
        }
        for (status, count, oldest) in self.paging.by_status() {
            census.count(status, count, Some(oldest));
        }
        match self.paging.asleep() {
            0 => {}
            asleep => census.count(Status::Confirming, asleep, None),
        }
        census.parked_branches += self.paging.parked_branches();
        census.paged_out = self.paging.count();
        census.live_bytes = self.live.bytes();
        census
    }

    /// Tells those who have waited too long for something that is not durable that the
    /// journal does not answer.
    pub(crate) fn give_up_waiting(
        &mut self,
        durable: Seq,
        too_long: impl Fn(Mono) -> bool,
        output: &mut Output,
    ) {
        for (gid, live_transaction) in self.live.iter_mut() {
            if live_transaction.release_after() <= durable {
                continue;
            }
            for waiter in live_transaction.take_late_waiters(&too_long) {
                let reply = Reply::Refused(Refusal::JournalUnavailable);
                output.effects.push(at_once(gid, Effect::Reply(waiter, reply, IfTaken::IsUnknown)));
            }
            let due = live_transaction.next_due(&self.settings.rules);
            self.timers.set(gid, &mut live_transaction.timer, due);
        }
    }

    /// This life is over: everybody who waits is told that the outcome is unknown, or, where
    /// nothing was begun for them, that nothing will be.
    pub(crate) fn give_up_all(&mut self, output: &mut Output) {
        for (gid, live_transaction) in self.live.iter_mut() {
            for waiter in live_transaction.take_waiters() {
                let reply = Reply::Refused(Refusal::JournalUnavailable);
                output.effects.push(at_once(gid, Effect::Reply(waiter, reply, IfTaken::IsUnknown)));
            }
            let due = live_transaction.next_due(&self.settings.rules);
            self.timers.set(gid, &mut live_transaction.timer, due);
        }
        refuse_unread(self.loading.take_all_requests(), output);
    }

    pub(super) fn request(&mut self, mut request: Request, now: Now, output: &mut Output) {
        if let Some(moment) = self.last_wait {
            request.wait.give_up = request.wait.give_up.min(moment);
        }
        if self.live.contains(&request.gid) {
            return self.ask_known(request, now, output);
        }
        let due = now.mono.after(self.settings.load_within);
        if let Err(request) = self.loading.wait(request, due) {
            self.ask_unknown(request, now, output);
        }
    }

    fn nobody_waits_beyond(&mut self, moment: Mono, now: Now, output: &mut Output) {
        self.last_wait = Some(moment);
        self.loading.nobody_waits_beyond(moment);
        let waited_for =
            self.live.iter().filter(|(_, live_transaction)| live_transaction.is_waited_for());
        let waited_for: Vec<Gid> = waited_for.map(|(gid, _)| gid.clone()).collect();
        for gid in waited_for {
            if let Some(live_transaction) = self.live.get_mut(&gid) {
                live_transaction.nobody_waits_beyond(moment);
            }
            self.update(&gid, now, output);
        }
    }

    /// Whoever hung up is answered at once, as if the wait had run out: so a place is free, and
    /// everybody is answered once. While the journal is asked that is once it has said what it knows:
    /// what was asked for is still done.
    fn hung_up(&mut self, gid: &Gid, reply_to: ReplyTo, now: Now, output: &mut Output) {
        let waits = self.live.get_mut(gid).is_some_and(|live| live.stops_waiting(reply_to, now));
        if waits {
            self.update(gid, now, output);
        }
        self.loading.stops_waiting(gid, reply_to, now);
    }

    /// What was held goes on, and nothing is held any more.
    fn release(&mut self, now: Now, output: &mut Output) {
        if self.settings.rules.held_to.take().is_none() {
            return;
        }
        let held = self.live.iter().filter(|(_, live)| live.transaction().is_held());
        let held: Vec<Gid> = held.map(|(gid, _)| gid.clone()).collect();
        for gid in held {
            self.run(&gid, now, output, Transaction::release);
        }
    }

    fn durable(&mut self, seq: Seq, now: Now) {
        self.durable = self.durable.max(seq);
        self.page_out_what_is_durable(seq, now);
    }

    /// What is finished leaves once its last record is durable, and once what was overtaken in it
    /// has ended.
    fn leave_what_is_over(&mut self) {
        while let Some(gid) = self.live.next_to_leave(self.durable) {
            self.forget(&gid);
        }
    }

    /// A transaction is no longer here, nor anything of it in any part.
    fn forget(&mut self, gid: &Gid) -> Option<LiveTransaction> {
        let mut live_transaction = self.live.remove(gid)?;
        self.timers.set(gid, &mut live_transaction.timer, None);
        self.capacity.remove(gid, &mut live_transaction.waits_at);
        self.paging.remove(gid, &mut live_transaction.residence);
        Some(live_transaction)
    }

    fn run_what_is_due(&mut self, now: Now, output: &mut Output) {
        // What is left after these is due at once, and others get their turn meanwhile.
        for _ in 0..DUE_AT_ONCE {
            let Some(gid) = self.timers.first_due(now.mono) else { break };
            self.run(&gid, now, output, |_, _| ());
        }
        while let Some(late) = self.loading.take_late(now.mono) {
            refuse_unread(late, output);
        }
    }
}

/// An effect that waits for nothing: what it says depends on no record.
fn at_once(gid: &Gid, effect: Effect) -> DeferredEffect {
    DeferredEffect { after: Seq(0), gid: gid.clone(), effect }
}
