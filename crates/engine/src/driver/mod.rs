//! The loop around the core, without its IO: what waits in which lane and whose turn it is, what
//! is on its way out, and when it is over.
//!
//! ```text
//!  journal ─────┐                                 ┌─▶ outbox ─▶ flush() ─▶ the journal, once a round
//!  answers ─────┤                                 │
//!  not sent ────┤  next()                         │      calls ─▶ send, or not_sent()
//!  room ────────┼────────▶ event ─▶ step() ─▶ core ┼─▶ commands ─▶ replies, loads, …
//!  control ─────┤                                 │
//!  requests ────┤     round by round, each lane   │
//!  begins ──────┤     up to a bound               │
//!  time ────────┘                                 │
//!      ▲  calls that found no room, or were retracted
//!      └──────────────────────────────────────────┘
//! ```
//!
//! The daemon's shell drives this with tokio's channels and its clock, the simulation with
//! virtual time; so what is simulated is what runs.

mod lanes;
mod outbox;
mod stopping;

use std::time::Duration;

use tercet_wire::{Answer, Gid, Mono, Now};

pub use lanes::Lane;
use lanes::{Lanes, Turn};
use outbox::Outbox;
use stopping::Stopping;
pub use stopping::{Ended, for_what_is_in_flight};

use crate::core::{Commands, Core, Event};
use crate::dispatch::{CapacityFreed, Destination};
use crate::engine::input::{Input, ReplyTo, Request, Ticket};
use crate::engine::output::Call;
use crate::group_commit::Backlog;
use crate::journal_event::{JournalEvent, Urgency};
use crate::record::Record;

/// The numbers the loop goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverSettings {
    /// Most calls in flight: made, or waiting for their turn, or answered and not yet handled.
    pub calls: usize,
    /// Messages taken from one lane in a round.
    pub lane_bound: usize,
    /// Most that may wait to be durable before no new transactions are begun.
    pub most_unwritten: Backlog,
}

/// The core and everything on its way in or out.
///
/// Whoever drives it puts messages into the lanes, takes each [`Driver::next`] event, hands it to
/// [`Driver::step`] and carries out the commands before the next; when there is no next, the
/// round is over and what [`Driver::flush`] gives goes to the journal.
#[derive(Debug, Clone)]
pub struct Driver {
    core: Core,
    settings: DriverSettings,
    lanes: Lanes,
    turn: Turn,
    outbox: Outbox,
    /// What the journal has and has not written.
    unwritten: Backlog,
    calls_in_flight: usize,
    /// Requests that were not answered yet.
    unanswered: usize,
    stopping: Option<Stopping>,
    fenced: bool,
}

impl Driver {
    /// A loop around a core.
    #[must_use]
    pub fn new(core: Core, settings: DriverSettings) -> Self {
        Self {
            core,
            // A lane that nothing is taken from would be a loop that never moves.
            settings: DriverSettings { lane_bound: settings.lane_bound.max(1), ..settings },
            lanes: Lanes::default(),
            turn: Turn::default(),
            outbox: Outbox::default(),
            unwritten: Backlog::default(),
            calls_in_flight: 0,
            unanswered: 0,
            stopping: None,
            fenced: false,
        }
    }

    /// The numbers it goes by.
    #[must_use]
    pub fn settings(&self) -> &DriverSettings {
        &self.settings
    }

    /// The core, to look at.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// How many more messages this lane takes before the next round. Whoever has more keeps them,
    /// so that they count against the bound they wait under.
    #[must_use]
    pub fn room(&self, lane: Lane) -> usize {
        self.settings.lane_bound.saturating_sub(self.waiting(lane))
    }

    /// How many messages wait in a lane.
    #[must_use]
    pub fn waiting(&self, lane: Lane) -> usize {
        self.lanes.len(lane)
    }

    /// The journal says something.
    pub fn journal(&mut self, event: JournalEvent) {
        self.lanes.journal.push_back(event);
    }

    /// A call was answered, or gave up.
    pub fn answered(&mut self, ticket: Ticket, answer: Answer) {
        self.lanes.answers.push_back((ticket, answer));
    }

    /// A call of [`Commands::calls`] found no room at this destination, or one of
    /// [`Commands::retract`] was given back while it waited: it was never made. It comes back to
    /// the core in its turn, not at once: while thousands do, the first become due again, and at
    /// once would have no end.
    pub fn not_sent(&mut self, ticket: Ticket, at: Option<Destination>) {
        self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
        self.lanes.not_sent.push_back((ticket, at));
    }

    /// A destination has room.
    pub fn capacity_freed(&mut self, freed: CapacityFreed) {
        self.lanes.capacity.add(freed);
    }

    /// Somebody wants to know when all that is written now is durable.
    pub fn sync(&mut self, reply_to: ReplyTo) {
        self.unanswered += 1;
        self.lanes.control.push_back(Event::Sync(reply_to));
    }

    /// Somebody asks something of one transaction.
    pub fn request(&mut self, request: Request) {
        self.unanswered += 1;
        self.lanes.request(request);
    }

    /// Who asked this does not wait any more. What they asked is done all the same.
    pub fn hung_up(&mut self, gid: Gid, reply_to: ReplyTo) {
        // It may not have had its turn yet, and news of it would come before that.
        if self.lanes.stops_waiting(reply_to) {
            return;
        }
        self.lanes.control.push_back(Event::Input(Input::HungUp(gid, reply_to)));
    }

    /// So much the journal has and has not written.
    pub fn set_unwritten(&mut self, unwritten: Backlog) {
        self.unwritten = unwritten;
    }

    /// The next event of this round; none when the round is over.
    pub fn next(&mut self, now: Mono) -> Option<Event> {
        if self.fenced {
            return None;
        }
        let Self { core, settings, lanes, turn, .. } = self;
        let lane = turn.next(settings.lane_bound, |lane| match lane {
            Lane::Time => usize::from(core.next_deadline().is_some_and(|at| at <= now)),
            lane => lanes.len(lane),
        })?;
        let event = match lane {
            Lane::Journal => self.heard_from_journal()?,
            Lane::Answers => {
                let (ticket, answer) = self.lanes.answers.pop_front()?;
                self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
                Event::Input(Input::Answered(ticket, answer))
            }
            Lane::NotSent => {
                let (ticket, at) = self.lanes.not_sent.pop_front()?;
                Event::Input(Input::NotSent(ticket, at))
            }
            Lane::Capacity => Event::Input(Input::CapacityFreed(self.lanes.capacity.pop()?)),
            Lane::Control => self.lanes.control.pop_front()?,
            Lane::Requests => Event::Input(Input::Request(self.lanes.requests.pop_front()?)),
            Lane::Begins => Event::Input(Input::Request(self.lanes.begins.pop_front()?)),
            Lane::Time => Event::Input(Input::Tick),
        };
        Some(event)
    }

    /// Lets the core handle an event. Its records are kept for [`Driver::flush`], so they go to
    /// the journal in their order whatever becomes of the commands; everything else in the
    /// commands is to be carried out.
    pub fn step(&mut self, event: Event, now: Now) -> Commands {
        let unwritten = self.unwritten.and(self.outbox.size());
        self.core.set_journal_full(unwritten.reaches(self.settings.most_unwritten));
        let is_over = matches!(event, Event::Fenced);
        let mut commands = self.core.step(event, now);
        if is_over {
            self.lanes.refuse_all(&mut commands);
        }
        self.outbox.take(&mut commands.append, commands.urgency);
        self.keep_within_bounds(&mut commands.calls);
        let answered = commands.replies.len() + commands.synced.len() + commands.unsynced.len();
        self.unanswered = self.unanswered.saturating_sub(answered);
        commands
    }

    /// The records that the last step led to.
    #[must_use]
    pub fn just_recorded(&self) -> &[Record] {
        self.outbox.latest()
    }

    /// What the journal gets, in one piece, when a round is over.
    pub fn flush(&mut self) -> Option<(Vec<Record>, Urgency)> {
        self.outbox.flush()
    }

    /// When there is something to do although nothing comes in.
    #[must_use]
    pub fn next_wake(&self, now: Mono) -> Option<Mono> {
        if self.lanes.is_any_waiting() {
            return Some(now);
        }
        let look = self.stopping.map(|stopping| stopping.next_look(now));
        self.core.next_deadline().into_iter().chain(look).min()
    }

    /// What was held since the database was restored goes on.
    pub fn release(&mut self) {
        self.lanes.control.push_back(Event::Input(Input::Release));
    }

    /// It is to stop within this grace: whoever waits is told in time.
    pub fn stop(&mut self, now: Mono, grace: Duration) {
        if self.stopping.is_none() {
            let stopping = Stopping::new(now, grace);
            self.stopping = Some(stopping);
            let last_wait = Input::NobodyWaitsBeyond(stopping.last_wait());
            self.lanes.control.push_back(Event::Input(last_wait));
        }
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// While stopping, when it ends whatever is in flight.
    #[must_use]
    pub fn gives_up_at(&self) -> Option<Mono> {
        self.stopping.map(Stopping::gives_up)
    }

    /// How it ended, if it has. `is_idle` says, given how many calls are in flight, whether
    /// nothing outside could still be finished: whoever keeps messages back, or has calls waiting
    /// for their turn, knows. It is asked only while stopping.
    #[must_use]
    pub fn ended(&self, now: Mono, is_idle: impl FnOnce(usize) -> bool) -> Option<Ended> {
        if self.fenced {
            return Some(Ended::Fenced);
        }
        let stopping = self.stopping?;
        let nothing_waits = self.unanswered == 0 && self.lanes.control.is_empty();
        stopping.ended(now, nothing_waits && is_idle(self.calls_in_flight))
    }

    /// What the journal said next. When it was fenced, nothing after that counts.
    fn heard_from_journal(&mut self) -> Option<Event> {
        let event = match self.lanes.journal.pop_front()? {
            JournalEvent::Durable(seq) => Event::Input(Input::Durable(seq)),
            JournalEvent::Exists(gid) => Event::Input(Input::Exists(gid)),
            JournalEvent::Quarantined(gid) => Event::Input(Input::Quarantined(gid)),
            JournalEvent::Loaded(gid, load) => Event::Input(Input::Loaded(gid, load)),
            JournalEvent::PageOfGids(gids) => Event::Input(Input::PageOfGids(gids)),
            JournalEvent::TakingOver { dead, gids } => {
                Event::Input(Input::TakingOver { dead, gids })
            }
            JournalEvent::TakenOver { gids, .. } => Event::Input(Input::TakenOver(gids)),
            JournalEvent::Failing { .. } => Event::Journal { healthy: false },
            JournalEvent::Healed => Event::Journal { healthy: true },
            JournalEvent::Fenced => {
                self.fenced = true;
                Event::Fenced
            }
        };
        Some(event)
    }

    /// What is beyond the bound on calls comes back in its turn.
    fn keep_within_bounds(&mut self, calls: &mut Vec<Call>) {
        let free = self.settings.calls.saturating_sub(self.calls_in_flight);
        if calls.len() > free {
            let beyond = calls.drain(free..).map(|call| (call.ticket, None));
            self.lanes.not_sent.extend(beyond);
        }
        self.calls_in_flight += calls.len();
    }
}
