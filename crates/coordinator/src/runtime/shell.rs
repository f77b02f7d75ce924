//! The loop that drives the ring.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{
    Call, Change, Commands, Core, Destination, Event, Input, Record, Request, Ticket, Wait,
};
use tercet_journal::{Backlog, Journal, JournalEvent};
use tercet_wire::{Answer, Mono};
use tokio::sync::{mpsc, watch};

use crate::alerts::{Alerts, ParkedBranch};
use crate::dispatcher::{Dispatcher, FreedCapacity};
use crate::metrics::TransactionMetrics;
use crate::runtime::handle::{Asked, Control, Lanes};
use crate::runtime::parking::ParkingLog;
use crate::runtime::recovery::Recovered;
use crate::runtime::replies::Replies;

/// Messages taken from one lane in a round.
const ROUND: usize = 1024;

/// Where the ring's commands go.
#[derive(Clone)]
pub struct Ports {
    /// Records and loads.
    pub journal: Journal,
    /// Calls.
    pub dispatcher: Dispatcher,
    /// What is counted on the way.
    pub metrics: TransactionMetrics,
    /// What people are told.
    pub alerts: Alerts,
}

/// How much of the grace waits for answers: those that come last still get out.
const WAITS: f64 = 0.8;

/// The part of the grace that is for what is in flight. The rest is the journal's, to write down
/// what has come of it.
#[must_use]
pub fn for_what_is_in_flight(grace: Duration) -> Duration {
    grace.mul_f64(0.9)
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop, and nothing was in flight or its part of the grace was over.
    Stopped {
        /// When all of the grace is.
        grace_ends: Mono,
    },
    /// Another incarnation has taken this one's transactions over.
    Fenced,
}

/// The ring and everything that moves its messages.
pub struct Shell {
    core: Core,
    clock: Arc<dyn Clock>,
    lanes: Lanes,
    journal_events: mpsc::UnboundedReceiver<JournalEvent>,
    answers: mpsc::Receiver<(Ticket, Answer)>,
    answer_places: mpsc::Sender<(Ticket, Answer)>,
    ports: Ports,
    capacity: FreedCapacity,
    replies: Replies,
    parking: ParkingLog,
    /// Records of this round; the journal gets them in one piece.
    unsent: Vec<Record>,
    /// How much they are.
    unsent_size: Backlog,
    /// Somebody waits for these, or for some handed over before.
    hurry: bool,
    /// Calls that found no room. They come back to the ring in their turn, not at once: while
    /// thousands do, the first become due again, and at once would have no end. Nor would the
    /// records this leads to be in order with those of commands not yet carried out.
    without_room: VecDeque<(Ticket, Option<Destination>)>,
    calls_in_flight: usize,
    fenced: bool,
    healthy: watch::Sender<bool>,
}

impl Shell {
    /// A shell around a ring. At most `calls` calls are in flight at once.
    #[must_use]
    pub fn new(
        core: Core,
        clock: Arc<dyn Clock>,
        lanes: Lanes,
        journal_events: mpsc::UnboundedReceiver<JournalEvent>,
        ports: Ports,
        calls: usize,
    ) -> Self {
        let (answer_places, answers) = mpsc::channel(calls.max(1));
        Self {
            core,
            clock,
            lanes,
            journal_events,
            answers,
            answer_places,
            capacity: ports.dispatcher.capacity(),
            ports,
            replies: Replies::default(),
            parking: ParkingLog::default(),
            unsent: Vec::new(),
            unsent_size: Backlog::default(),
            hurry: false,
            without_room: VecDeque::new(),
            calls_in_flight: 0,
            fenced: false,
            healthy: watch::Sender::new(true),
        }
    }

    /// Tells whether the journal keeps up.
    #[must_use]
    pub fn journal_health(&self) -> watch::Receiver<bool> {
        self.healthy.subscribe()
    }

    /// Runs until `stop` turns true and nothing is in flight, or most of `grace` has passed since.
    pub async fn run(
        mut self,
        recovered: Recovered,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
    ) -> Ended {
        for commands in recovered.commands {
            self.carry_out(commands);
        }
        self.flush();
        let mut stop_at = None;
        loop {
            self.one_round(&mut stop, stop_at.is_some()).await;
            self.flush();
            self.tell_health();
            self.parking.tell_overdue(self.clock.now().mono);
            if self.fenced {
                return Ended::Fenced;
            }
            if *stop.borrow() {
                let now = self.clock.now().mono;
                let stopped_at = match stop_at {
                    Some(stopped_at) => stopped_at,
                    None => {
                        let last_wait = now.after(grace.mul_f64(WAITS));
                        self.step(Event::Input(Input::NobodyWaitsBeyond(last_wait)));
                        *stop_at.insert(now)
                    }
                };
                if self.is_idle() || now >= stopped_at.after(for_what_is_in_flight(grace)) {
                    return Ended::Stopped { grace_ends: stopped_at.after(grace) };
                }
            }
        }
    }

    /// Waits for a message or for time to pass, then gives every lane its turn.
    async fn one_round(&mut self, stop: &mut watch::Receiver<bool>, stopping: bool) {
        let until_deadline = self.until_deadline(stopping);
        tokio::select! {
            event = self.journal_events.recv() => match event {
                Some(event) => self.journal_event(event),
                None => {
                    tracing::error!(event = "journal_thread_gone", "the journal's thread is gone: stopping");
                    self.fenced = true;
                }
            },
            Some(answered) = self.answers.recv() => self.answered(answered),
            freed = self.capacity.next() => self.step(Event::Input(Input::CapacityFreed(freed))),
            Some(control) = self.lanes.control.recv() => self.control(control),
            Some(asked) = self.lanes.requests.recv() => self.ask(asked),
            Some(asked) = self.lanes.begins.recv() => self.ask(asked),
            () = tokio::time::sleep(until_deadline) => self.step(Event::Input(Input::Tick)),
            _ = stop.changed(), if !stopping => {}
        }
        self.take_what_waits();
    }

    /// No lane waits for another: each is emptied, up to a bound. What finishes work comes
    /// before what begins it.
    fn take_what_waits(&mut self) {
        for _ in 0..ROUND {
            let Ok(event) = self.journal_events.try_recv() else { break };
            self.journal_event(event);
        }
        for _ in 0..ROUND {
            let Ok(answered) = self.answers.try_recv() else { break };
            self.answered(answered);
        }
        for _ in 0..ROUND {
            let Some((ticket, at)) = self.without_room.pop_front() else { break };
            self.step(Event::Input(Input::NotSent(ticket, at)));
        }
        for _ in 0..ROUND {
            let Some(freed) = self.capacity.take() else { break };
            self.step(Event::Input(Input::CapacityFreed(freed)));
        }
        for _ in 0..ROUND {
            let Ok(control) = self.lanes.control.try_recv() else { break };
            self.control(control);
        }
        for _ in 0..ROUND {
            let Ok(asked) = self.lanes.requests.try_recv() else { break };
            self.ask(asked);
        }
        for _ in 0..ROUND {
            let Ok(asked) = self.lanes.begins.try_recv() else { break };
            self.ask(asked);
        }
    }

    fn answered(&mut self, (ticket, answer): (Ticket, Answer)) {
        self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
        self.step(Event::Input(Input::Answered(ticket, answer)));
    }

    /// Whether nothing that could still be finished is under way. A call that waits for its
    /// turn was not sent, and would not be for as long as its destination's breaker is open.
    fn is_idle(&self) -> bool {
        let lanes = &self.lanes;
        let nothing_waits =
            lanes.begins.is_empty() && lanes.requests.is_empty() && lanes.control.is_empty();
        nothing_waits
            && self.replies.nobody_waits()
            && self.calls_in_flight <= self.ports.dispatcher.waiting()
    }

    fn until_deadline(&self, stopping: bool) -> Duration {
        if !self.without_room.is_empty() {
            return Duration::ZERO;
        }
        // While stopping, look often: the grace may be over before anything else happens.
        let longest = if stopping { Duration::from_millis(50) } else { Duration::from_secs(3600) };
        let now = self.clock.now().mono;
        let due = self.core.next_deadline().into_iter().chain(self.parking.next_due()).min();
        due.map_or(longest, |at| at.since(now)).min(longest)
    }

    fn ask(&mut self, asked: Asked) {
        let Asked { gid, ask, until, wait, reply } = asked;
        let give_up = self.clock.now().mono.after(wait);
        let reply_to = self.replies.expect(reply);
        let wait = Wait { until, give_up };
        self.step(Event::Input(Input::Request(Request { reply_to, gid, ask, wait })));
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Sync(done) => {
                let reply_to = self.replies.expect_synced(done);
                self.step(Event::Sync(reply_to));
            }
            Control::Census(reply) => {
                let _hung_up = reply.send(self.core.census());
            }
        }
    }

    fn journal_event(&mut self, event: JournalEvent) {
        match event {
            JournalEvent::Durable(seq) => self.step(Event::Input(Input::Durable(seq))),
            JournalEvent::Exists(gid) => self.step(Event::Input(Input::Exists(gid))),
            JournalEvent::Quarantined(gid) => self.step(Event::Input(Input::Quarantined(gid))),
            JournalEvent::Loaded(gid, load) => self.step(Event::Input(Input::Loaded(gid, load))),
            JournalEvent::PageOfGids(gids) => self.step(Event::Input(Input::PageOfGids(gids))),
            JournalEvent::Failing { why } => {
                tracing::error!(event = "journal_unavailable",
                    %why,
                    "the journal cannot write; new transactions are refused until it can, \
                     nothing is lost and nothing undurable is told"
                );
                self.step(Event::Journal { healthy: false });
            }
            JournalEvent::Healed => {
                tracing::info!(event = "journal_available", "the journal writes again");
                self.step(Event::Journal { healthy: true });
            }
            JournalEvent::Fenced => self.fenced = true,
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.clock.now();
        self.core.set_journal_full(self.ports.journal.is_full(self.unsent_size));
        let commands = self.core.step(event, now);
        self.carry_out(commands);
    }

    /// Whoever steps the ring carries out what it says before stepping again, or all of it in
    /// the same order: the journal must get the records in theirs.
    fn carry_out(&mut self, commands: Commands) {
        let Commands {
            append,
            hurry,
            calls,
            replies,
            synced,
            unsynced,
            loads,
            parked,
            alarms,
            page_requests,
            notify_when_free,
            retract,
        } = commands;
        for record in &append {
            self.count(record);
        }
        self.unsent_size = self.unsent_size.and(Backlog::of(&append));
        self.unsent.extend(append);
        self.hurry |= hurry;
        if !loads.is_empty() {
            self.ports.journal.load(loads);
        }
        for sweep in page_requests {
            self.ports.journal.sweep(sweep.after);
        }
        for (reply_to, reply) in replies {
            self.replies.send(reply_to, reply);
        }
        for reply_to in synced {
            self.replies.synced(reply_to);
        }
        for reply_to in unsynced {
            self.replies.unsynced(reply_to);
        }
        for (gid, parked) in parked {
            self.tell_of_parked(ParkedBranch::new(gid, parked));
        }
        for (gid, why) in alarms {
            self.ports.alerts.quarantined(&gid, &why, self.clock.now());
            tracing::error!(event = "transaction_quarantined", %gid, %why, "this transaction is quarantined; all others go on. Please report it");
        }
        for call in calls {
            if let Err(not_sent) = self.send(call) {
                self.without_room.push_back(not_sent);
            }
        }
        for ticket in retract {
            if self.ports.dispatcher.retract(&ticket) {
                self.calls_in_flight -= 1;
                self.without_room.push_back((ticket, None));
            }
        }
        for destination in notify_when_free {
            self.ports.dispatcher.notify_when_free(&destination);
        }
    }

    /// Sends a call, if there is room for it and for its answer.
    fn send(&mut self, call: Call) -> Result<(), (Ticket, Option<Destination>)> {
        let Ok(place) = self.answer_places.clone().try_reserve_owned() else {
            return Err((call.ticket, None));
        };
        match self.ports.dispatcher.send(call, place) {
            Ok(()) => {
                self.calls_in_flight += 1;
                Ok(())
            }
            Err(no_room) => Err((no_room.ticket, Some(no_room.destination))),
        }
    }

    /// The journal gets all records of a round in one piece.
    fn flush(&mut self) {
        self.unsent_size = Backlog::default();
        let records = std::mem::take(&mut self.unsent);
        if std::mem::take(&mut self.hurry) {
            self.ports.journal.append(records);
        } else {
            self.ports.journal.append_at_leisure(records);
        }
    }

    fn tell_health(&self) {
        let healthy = self.core.is_journal_keeping_up(self.clock.now());
        self.healthy.send_if_modified(|told| std::mem::replace(told, healthy) != healthy);
    }

    /// People hear of it in the log and by the webhook.
    fn tell_of_parked(&mut self, parked: ParkedBranch) {
        let now = self.clock.now();
        self.ports.alerts.parked(parked.clone(), now);
        self.parking.tell(parked, now.mono);
    }

    fn count(&self, record: &Record) {
        match &record.change {
            Change::Finished { .. } => {
                if let Some(transaction) = self.core.engine().transaction(&record.gid) {
                    self.ports.metrics.finished(transaction);
                }
            }
            Change::Begun(_)
            | Change::Registered(_)
            | Change::Decided(_)
            | Change::BranchRecord(_)
            | Change::Parked(_)
            | Change::History(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
