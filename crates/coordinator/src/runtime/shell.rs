//! The loop that drives the driver: it moves messages between tokio's channels and the driver's
//! lanes, and carries out what the driver says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{
    Call, Commands, Destination, Driver, Ended, Event, Health, Input, JournalEvent, Lane, Parked,
    Request, Ticket, Wait, health,
};
use tercet_journal::Journal;
use tercet_wire::{Answer, Gid, Incarnation, Now, TraceId, host_port};
use tokio::sync::{mpsc, watch};

use crate::alerts::{Alerts, ParkedBranch};
use crate::cluster::Chunks;
use crate::dispatcher::{BreakerTurn, BreakerTurns, Dispatcher, FreedCapacity, Outcome};
use crate::metrics::TransactionMetrics;
use crate::runtime::beat::{Beat, EVERY};
use crate::runtime::counting::Counting;
use crate::runtime::handle::{Asked, Control, HungUp, Lanes};
use crate::runtime::outages::{self, OutageLog};
use crate::runtime::parking::ParkingLog;
use crate::runtime::recovery::{Recovered, count_finished};
use crate::runtime::replies::Replies;
use crate::telemetry::about;
use crate::traces::Traces;

/// Where the driver's commands go.
#[derive(Clone)]
pub struct Ports {
    /// Records and loads.
    pub journal: Journal,
    /// Calls.
    pub dispatcher: Dispatcher,
    /// What is counted on the way.
    pub metrics: TransactionMetrics,
    /// What a collector is told of it.
    pub traces: Traces,
    /// What people are told.
    pub alerts: Alerts,
    /// How long a participant does not answer before they are.
    pub unreachable_after: Duration,
    /// How long after its end what has waited for it has been called again.
    pub called_within: Duration,
    /// Participants that are paused as this life begins.
    pub paused: BTreeSet<String>,
    /// Who hears of what was taken over, where there are other nodes.
    pub chunks: Option<Arc<Chunks>>,
}

/// The driver and everything that moves its messages.
pub struct Shell {
    driver: Driver,
    clock: Arc<dyn Clock>,
    lanes: Lanes,
    journal_events: mpsc::UnboundedReceiver<JournalEvent>,
    answers: mpsc::Receiver<(Ticket, Outcome)>,
    answer_places: mpsc::Sender<(Ticket, Outcome)>,
    ports: Ports,
    capacity: FreedCapacity,
    replies: Replies,
    parking: ParkingLog,
    breaker_turns: BreakerTurns,
    outages: OutageLog,
    counting: Counting,
    /// Chunks that have become durable since the last round, and how much was in each.
    taken_over: Vec<(Incarnation, usize)>,
    healthy: watch::Sender<bool>,
    beat: Beat,
}

impl Shell {
    /// A shell around a driver.
    #[must_use]
    pub fn new(
        driver: Driver,
        clock: Arc<dyn Clock>,
        lanes: Lanes,
        journal_events: mpsc::UnboundedReceiver<JournalEvent>,
        ports: Ports,
    ) -> Self {
        let (answer_places, answers) = mpsc::channel(driver.settings().calls.max(1));
        Self {
            driver,
            clock,
            lanes,
            journal_events,
            answers,
            answer_places,
            capacity: ports.dispatcher.capacity(),
            counting: Counting::default(),
            taken_over: Vec::new(),
            breaker_turns: ports.dispatcher.breaker_turns(),
            outages: OutageLog::new(
                ports.unreachable_after,
                ports.called_within,
                ports.paused.clone(),
            ),
            ports,
            replies: Replies::default(),
            parking: ParkingLog::default(),
            healthy: watch::Sender::new(true),
            beat: Beat::default(),
        }
    }

    /// Tells whether the journal keeps up.
    #[must_use]
    pub fn journal_health(&self) -> watch::Receiver<bool> {
        self.healthy.subscribe()
    }

    /// Tells that the loop turns.
    #[must_use]
    pub fn beat(&self) -> Beat {
        self.beat.clone()
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
        loop {
            self.wait(&mut stop).await;
            if *stop.borrow() {
                self.driver.stop(self.clock.mono(), grace);
            }
            self.one_round();
            let now = self.clock.now();
            self.beat.beat(now.mono);
            self.tell_health();
            self.parking.tell_overdue(now.mono);
            self.tell_outages(now);
            // A call that waits for its turn was not made, and would not be for as long as its
            // destination's breaker is open.
            let is_idle = |calls_in_flight| {
                self.lanes.are_empty() && calls_in_flight <= self.ports.dispatcher.waiting()
            };
            if let Some(ended) = self.driver.ended(now.mono, is_idle) {
                self.beat.end();
                return ended;
            }
        }
    }

    /// Waits for a message, or for what is due.
    async fn wait(&mut self, stop: &mut watch::Receiver<bool>) {
        let sleep = self.until_deadline();
        let stopping = self.driver.is_stopping();
        tokio::select! {
            event = self.journal_events.recv() => {
                // Its last word, should it have had none.
                let event = event.unwrap_or_else(|| {
                    tracing::error!(event = "journal_thread_gone", "the journal's thread is gone: stopping");
                    JournalEvent::Fenced
                });
                self.journal_event(event);
            }
            Some((ticket, outcome)) = self.answers.recv() => self.ended(ticket, outcome),
            freed = self.capacity.next() => self.driver.capacity_freed(freed),
            (destination, turn) = self.breaker_turns.next() => {
                self.breaker_turned(&destination, turn);
            }
            Some(control) = self.lanes.control.recv() => self.control(control),
            Some(hung_up) = self.lanes.hung_up.recv() => self.hang_up(hung_up),
            Some(asked) = self.lanes.requests.recv() => self.ask(asked),
            Some(asked) = self.lanes.begins.recv() => self.ask(asked),
            () = tokio::time::sleep(sleep) => {}
            _ = stop.changed(), if !stopping => {}
        }
    }

    fn until_deadline(&self) -> Duration {
        let now = self.clock.mono();
        let due = self.driver.next_wake(now).into_iter().chain(self.parking.next_due());
        let due = due.chain(self.outages.next_due()).min();
        due.map_or(EVERY, |at| at.since(now)).min(EVERY)
    }

    /// Takes what waits in the channels, as far as the lanes have room; then everybody's turn.
    fn one_round(&mut self) {
        self.take_what_waits();
        self.handle_what_waits();
        self.flush();
        self.tell_of_chunks();
        let core = self.driver.core();
        let waiting_for = |participants: &BTreeSet<String>| {
            core.engine().waiting_for(participants.iter().map(String::as_str))
        };
        self.counting.answer(|| core.census(), waiting_for);
    }

    fn handle_what_waits(&mut self) {
        self.driver.set_unwritten(self.ports.journal.backlog());
        // All that is taken in one round comes at one moment: to read clocks for each takes longer than some take.
        let round = self.clock.now();
        while let Some(event) = self.driver.next(round.mono) {
            let now = Now { entropy: self.clock.entropy(), ..round };
            let commands = self.driver.step(event, now);
            count_finished(&self.driver, (&self.ports.metrics, &self.ports.traces));
            self.carry_out(commands);
        }
    }

    fn take_what_waits(&mut self) {
        for _ in 0..self.driver.room(Lane::Journal) {
            let Ok(event) = self.journal_events.try_recv() else { break };
            self.journal_event(event);
        }
        for _ in 0..self.driver.room(Lane::Answers) {
            let Ok((ticket, outcome)) = self.answers.try_recv() else { break };
            self.ended(ticket, outcome);
        }
        for _ in 0..self.driver.room(Lane::Capacity) {
            let Some(freed) = self.capacity.take() else { break };
            self.driver.capacity_freed(freed);
        }
        for _ in 0..self.driver.room(Lane::Control) {
            let Ok(control) = self.lanes.control.try_recv() else { break };
            self.control(control);
        }
        for _ in 0..self.driver.room(Lane::Control) {
            let Ok(hung_up) = self.lanes.hung_up.try_recv() else { break };
            self.hang_up(hung_up);
        }
        for _ in 0..self.driver.room(Lane::Requests) {
            let Ok(asked) = self.lanes.requests.try_recv() else { break };
            self.ask(asked);
        }
        for _ in 0..self.driver.room(Lane::Begins) {
            let Ok(asked) = self.lanes.begins.try_recv() else { break };
            self.ask(asked);
        }
    }

    /// A call has ended. What was not made is offered again after a pause.
    fn ended(&mut self, ticket: Ticket, outcome: Outcome) {
        match outcome {
            Outcome::Answered(answer) => self.answered(ticket, answer),
            Outcome::NotMade => self.driver.not_sent(ticket, None),
        }
    }

    fn ask(&mut self, asked: Asked) {
        let Asked { reply_to, gid, ask, until, wait, reply } = asked;
        // Who has hung up before their turn came takes up no place; what they asked is done.
        let wait = if reply.is_closed() { Duration::ZERO } else { wait };
        let give_up = self.clock.mono().after(wait);
        self.replies.expect(reply_to, reply);
        let wait = Wait { until, give_up };
        self.driver.request(Request { reply_to, gid, ask, wait });
    }

    fn hang_up(&mut self, hung_up: HungUp) {
        let HungUp { gid, reply_to } = hung_up;
        // Who still stands in a lane is looked at when their turn comes.
        if self.replies.is_expected(reply_to) {
            self.driver.hung_up(gid, reply_to);
        }
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Sync(done) => self.driver.sync(self.replies.expect_synced(done)),
            Control::Census(reply) => self.counting.census(reply),
            Control::Release => self.driver.release(),
            Control::WaitingFor(participants, reply) => self.counting.waits(participants, reply),
            Control::Pause(participants, done) => {
                self.pause(participants);
                // Whoever does not wait for it needs no telling.
                let _ = done.send(());
            }
        }
    }

    /// Nobody calls these any more, and all others are called: first nothing leaves, then what waits
    /// for its turn comes back, and waits.
    fn pause(&mut self, participants: BTreeSet<String>) {
        self.ports.dispatcher.set_paused(participants.clone());
        self.outages.set_paused(participants.clone());
        let now = self.clock.now();
        let paused = Event::Input(Input::Paused(participants));
        let commands = self.driver.step(paused, now);
        count_finished(&self.driver, (&self.ports.metrics, &self.ports.traces));
        self.carry_out(commands);
        for (ticket, destination) in self.ports.dispatcher.retract_paused() {
            self.driver.not_sent(ticket, Some(destination));
        }
    }

    fn journal_event(&mut self, event: JournalEvent) {
        match &event {
            JournalEvent::Failing { why } => tracing::error!(
                event = "journal_unavailable",
                %why,
                "the journal cannot write; new transactions are refused until it can, nothing is \
                 lost and nothing undurable is told"
            ),
            JournalEvent::Healed => {
                tracing::info!(event = "journal_available", "the journal writes again")
            }
            JournalEvent::TakenOver { dead, gids } => self.taken_over.push((*dead, gids.len())),
            JournalEvent::Durable(_)
            | JournalEvent::Exists(_)
            | JournalEvent::Quarantined(_)
            | JournalEvent::TakingOver { .. }
            | JournalEvent::Loaded(..)
            | JournalEvent::PageOfGids(_)
            | JournalEvent::Fenced => {}
        }
        self.driver.journal(event);
    }

    fn carry_out(&mut self, commands: Commands) {
        let Commands {
            // The driver has kept the records and what they ask for.
            append: _,
            urgency: _,
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
        if !loads.is_empty() {
            self.ports.journal.load(loads);
        }
        for page in page_requests {
            self.ports.journal.sweep(page.after);
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
            self.tell_of_parked(gid, parked);
        }
        for (gid, why) in alarms {
            self.ports.alerts.quarantined(&gid, &why, self.clock.now());
            about!((&gid, self.trace_of(&gid)) => error!(event = "transaction_quarantined", %why, "this transaction is quarantined; all others go on. Please report it"));
        }
        for call in calls {
            self.send(call);
        }
        for ticket in retract {
            if self.ports.dispatcher.retract(&ticket) {
                self.driver.not_sent(ticket, None);
            }
        }
        for destination in notify_when_free {
            self.ports.dispatcher.notify_when_free(&destination);
        }
    }

    /// Sends a call, with a place for its answer. There are as many as calls may be in flight, and
    /// a call counts until its answer is handled, so there is one.
    fn send(&mut self, call: Call) {
        let Ok(place) = self.answer_places.clone().try_reserve_owned() else {
            about!(&*call.spec => error!(
                event = "call_without_place",
                "a call without a place for its answer"
            ));
            return self.driver.not_sent(call.ticket, None);
        };
        if let Err(no_room) = self.ports.dispatcher.send(call, place) {
            self.driver.not_sent(no_room.ticket, Some(no_room.destination));
        }
    }

    /// The journal gets all records of a round in one piece.
    fn flush(&mut self) {
        if let Some((records, urgency)) = self.driver.flush() {
            self.ports.journal.append(records, urgency);
        }
    }

    /// Whoever takes over goes on once the engine knows of a chunk, and has read most of it.
    fn tell_of_chunks(&mut self) {
        let Some(chunks) = &self.ports.chunks else { return };
        chunks.set_arriving(self.driver.core().engine().arriving());
        for (dead, count) in self.taken_over.drain(..) {
            chunks.are_durable(dead, count);
        }
    }

    fn tell_health(&self) {
        let healthy = self.driver.core().is_journal_keeping_up(self.clock.now());
        self.healthy.send_if_modified(|told| std::mem::replace(told, healthy) != healthy);
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer) {
        // Who looks at every answer while nobody is away would do it for nothing.
        if !self.outages.is_empty()
            && health(&answer) == Health::Alive
            && let Some(participant) = self.driver.core().engine().participant_of(&ticket)
        {
            self.outages.answered(&participant, self.clock.now());
        }
        self.driver.answered(ticket, answer);
    }

    fn breaker_turned(&mut self, destination: &Destination, turn: BreakerTurn) {
        let now = self.clock.now();
        match turn {
            BreakerTurn::Opened => self.outages.opened(destination, now),
            BreakerTurn::Closed => self.outages.closed(destination, now),
            BreakerTurn::Forgotten => self.outages.forgotten(destination, now.mono),
        }
    }

    /// People hear of it in the log and by the webhook. What is parked since its participant does
    /// not answer is told as that.
    fn tell_of_parked(&mut self, gid: Gid, parked: Parked) {
        let now = self.clock.now();
        let url = parked.branch.url(parked.op);
        let called = url.map(|url| host_port(url)).unwrap_or_default();
        if !self.outages.parked(&called, &gid, &parked, now) {
            self.tell_parked(gid, parked, now);
        }
    }

    fn tell_parked(&mut self, gid: Gid, parked: Parked, now: Now) {
        let trace_id = self.trace_of(&gid);
        let branch = ParkedBranch { trace_id, ..ParkedBranch::new(gid, parked) };
        self.ports.alerts.parked(branch.clone(), now);
        self.parking.tell(branch, now.mono);
    }

    /// The trace of a transaction that is in memory.
    fn trace_of(&self, gid: &Gid) -> Option<TraceId> {
        let transaction = self.driver.core().engine().transaction(gid)?;
        TraceId::of(&transaction.spec().traceparent)
    }

    fn tell_outages(&mut self, now: Now) {
        let (engine, alerts) = (self.driver.core().engine(), &self.ports.alerts);
        let waiting_for = |participants: &[&str]| engine.waiting_for(participants.iter().copied());
        for report in self.outages.take(now.mono, alerts.is_on(), waiting_for) {
            outages::write(&report);
            alerts.outage(report, now);
        }
        while let Some((gid, parked)) = self.outages.take_to_look_at(now.mono) {
            if self.driver.core().engine().is_parked_still(&gid, &parked) {
                self.tell_parked(gid, parked, now);
            }
        }
    }
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
