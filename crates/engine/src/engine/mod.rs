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
//! Memory is the truth for live transactions: the hot path reads nothing. A finished
//! transaction leaves once its last record is durable, so nobody sees it go back.

mod capacity;
pub(crate) mod input;
mod known;
mod live_transaction;
pub(crate) mod output;
mod paging;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_wire::{Epoch, Gid, Mono, Now, Seq, Status, Wall};

use crate::dispatch::Destination;
use crate::engine::capacity::Rooms;
use crate::engine::input::{Input, Request};
use crate::engine::live_transaction::LiveTransaction;
use crate::engine::output::{DeferredEffect, Effect, Output, Refusal, Reply};
use crate::engine::paging::Paged;
use crate::transaction::Rules;

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
    /// Decided transactions that only wait for a participant and stay in memory.
    pub in_memory_waiting_transactions: usize,
    /// Bytes of those.
    pub in_memory_waiting_bytes: usize,
    /// Transactions that rest in the journal beyond which begin is refused.
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

/// The engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Engine {
    settings: EngineSettings,
    epoch: Epoch,
    live: BTreeMap<Gid, LiveTransaction>,
    /// What they take, in bytes.
    live_bytes: usize,
    /// Requests that wait for the journal to say whether their gid is known.
    loading: BTreeMap<Gid, Loading>,
    /// When those who wait for a load are told that the journal does not answer.
    loads_due: BTreeSet<(Mono, Gid)>,
    /// When each live transaction has something to do by itself; one entry each at most.
    due: BTreeSet<(Mono, Gid)>,
    /// Who waits for room at which destination, those that wait longest first.
    waiting: Rooms,
    /// Who pauses after a call failed at which destination, likewise.
    pausing: Rooms,
    /// Destinations that answer again, and since when: who has paused since before is woken.
    healed: BTreeMap<Destination, Mono>,
    /// Those that only wait, and could rest in the journal instead; longest first.
    only_wait: BTreeSet<(Mono, Gid)>,
    only_wait_bytes: usize,
    /// Those that leave for the journal, by the record that must be durable before.
    leaving_to_rest: BTreeSet<(Seq, Gid)>,
    resting: Paged,
    /// Finished transactions, by the record that must be durable before they leave.
    leaving: BTreeSet<(Seq, Gid)>,
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

/// A gid that the journal was asked about. It stays until the journal has answered, so that no
/// answer is on its way that nobody expects: it could tell of a time that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Loading {
    /// When those who wait are told that the journal does not answer; none while nobody does.
    due: Option<Mono>,
    requests: Vec<Request>,
    /// It is one of a page of those that rest.
    from_rest: bool,
}

/// How many unfinished transactions stand where, and since when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Live transactions by status, with the creation time of the oldest.
    pub by_status: BTreeMap<Status, (usize, Wall)>,
    /// Branches shown to people.
    pub parked_branches: usize,
    /// Transactions quarantined: after a fault of ours, or because their rows make no sense.
    pub quarantined: usize,
    /// Of those counted, how many rest in the journal until their participants have room.
    pub resting: usize,
    /// Bytes of memory that live transactions take.
    pub live_bytes: usize,
}

impl Engine {
    /// An engine without transactions.
    #[must_use]
    pub fn new(epoch: Epoch, settings: EngineSettings) -> Self {
        Self {
            settings,
            epoch,
            live: BTreeMap::new(),
            live_bytes: 0,
            loading: BTreeMap::new(),
            loads_due: BTreeSet::new(),
            due: BTreeSet::new(),
            waiting: Rooms::new(),
            pausing: Rooms::new(),
            healed: BTreeMap::new(),
            only_wait: BTreeSet::new(),
            only_wait_bytes: 0,
            leaving_to_rest: BTreeSet::new(),
            resting: Paged::default(),
            leaving: BTreeSet::new(),
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
        self.wake_those_that_pause(now, &mut output);
        match input {
            Input::Request(request) => self.request(request, now, &mut output),
            Input::Answered(ticket, answer) => self.answered(&ticket, &answer, now, &mut output),
            Input::NotSent(ticket, at) => self.not_sent(&ticket, at, now, &mut output),
            Input::CapacityFreed(freed) => self.capacity_freed(&freed, now, &mut output),
            Input::Loaded(gid, load) => self.loaded(&gid, load, now, &mut output),
            Input::PageOfGids(gids) => self.page_of_gids(gids, now, &mut output),
            Input::Adopt(stored) => self.take_up(&stored, now, &mut output),
            Input::Durable(seq) => self.durable(seq, now),
            Input::Exists(gid) => self.drop_unwritten(&gid, &mut output),
            Input::Quarantined(gid) => self.quarantined(&gid, now, &mut output),
            Input::NobodyWaitsBeyond(moment) => self.nobody_waits_beyond(moment, now, &mut output),
            Input::Tick => {}
        }
        self.run_what_is_due(now, &mut output);
        self.rest_and_return(now, &mut output);
        output
    }

    /// When the engine has something to do although nothing comes in.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let timers = self.due.first().into_iter().chain(self.loads_due.first()).map(|(at, _)| *at);
        // These were due when the destination answered.
        let woken = self.healed.values().copied();
        timers.chain(self.resting.due()).chain(woken).min()
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
    pub fn transaction(&self, gid: &Gid) -> Option<&crate::transaction::Transaction> {
        self.live.get(gid).map(LiveTransaction::transaction)
    }

    /// Counts the live transactions.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census { quarantined: self.unreadable.len(), ..Census::default() };
        for live_transaction in self.live.values() {
            let transaction = live_transaction.transaction();
            let created_at = transaction.spec().created_at;
            let seen = census.by_status.entry(transaction.status()).or_insert((0, created_at));
            *seen = (seen.0 + 1, seen.1.min(created_at));
            let parked = transaction.branches().iter().filter(|branch| branch.is_parked());
            census.parked_branches += parked.count();
            census.quarantined += usize::from(live_transaction.is_quarantined());
        }
        for (status, count, oldest) in self.resting.by_status() {
            let seen = census.by_status.entry(status).or_insert((0, oldest));
            *seen = (seen.0 + count, seen.1.min(oldest));
        }
        census.parked_branches += self.resting.parked_branches();
        census.resting = self.resting.count();
        census.live_bytes = self.live_bytes;
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
        for (gid, live_transaction) in &mut self.live {
            if live_transaction.release_after() <= durable {
                continue;
            }
            for waiter in live_transaction.take_late_waiters(&too_long) {
                let reply = Reply::Refused(Refusal::JournalUnavailable);
                output.effects.push(at_once(gid, Effect::Reply(waiter, reply)));
            }
        }
    }

    fn request(&mut self, mut request: Request, now: Now, output: &mut Output) {
        if let Some(moment) = self.last_wait {
            request.wait.give_up = request.wait.give_up.min(moment);
        }
        if self.live.contains_key(&request.gid) {
            self.ask_known(request, now, output);
        } else if self.loading.contains_key(&request.gid) {
            self.wait_for_the_load(request, now);
        } else {
            self.ask_unknown(request, now, output);
        }
    }

    fn nobody_waits_beyond(&mut self, moment: Mono, now: Now, output: &mut Output) {
        self.last_wait = Some(moment);
        let waited_for =
            self.live.iter().filter(|(_, live_transaction)| live_transaction.is_waited_for());
        let waited_for: Vec<Gid> = waited_for.map(|(gid, _)| gid.clone()).collect();
        for gid in waited_for {
            if let Some(live_transaction) = self.live.get_mut(&gid) {
                live_transaction.nobody_waits_beyond(moment);
            }
            self.attend(&gid, now, output);
        }
    }

    fn durable(&mut self, seq: Seq, now: Now) {
        self.durable = self.durable.max(seq);
        self.rest_what_is_durable(seq, now);
        while let Some((needs, gid)) = self.leaving.first().cloned() {
            if needs > seq {
                break;
            }
            self.leaving.remove(&(needs, gid.clone()));
            self.forget(&gid);
        }
    }

    fn forget(&mut self, gid: &Gid) -> Option<LiveTransaction> {
        let mut live_transaction = self.live.remove(gid)?;
        if let Some(at) = live_transaction.due() {
            self.due.remove(&(at, gid.clone()));
        }
        self.live_bytes -= live_transaction.bytes;
        self.unindex_rest(gid, live_transaction.rest, live_transaction.bytes);
        self.leave_rooms(gid, &mut live_transaction);
        Some(live_transaction)
    }

    fn run_what_is_due(&mut self, now: Now, output: &mut Output) {
        // What is left after these is due at once, and others get their turn meanwhile.
        for _ in 0..DUE_AT_ONCE {
            match self.due.first().cloned() {
                Some((at, gid)) if at <= now.mono => self.run(&gid, now, output, |_, _| ()),
                Some(_) | None => break,
            }
        }
        while let Some((at, gid)) = self.loads_due.first().cloned() {
            if at > now.mono {
                break;
            }
            self.load_takes_too_long(&gid, output);
        }
    }
}

/// An effect that waits for nothing: what it says depends on no record.
fn at_once(gid: &Gid, effect: Effect) -> DeferredEffect {
    DeferredEffect { after: Seq(0), gid: gid.clone(), effect }
}
