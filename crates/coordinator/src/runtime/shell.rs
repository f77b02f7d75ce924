//! The loop that drives the driver: it moves messages between tokio's channels and the driver's
//! lanes, and carries out what the driver says.

use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{Call, Commands, Driver, Ended, JournalEvent, Lane, Request, Ticket, Wait};
use tercet_journal::Journal;
use tokio::sync::{mpsc, watch};

use crate::alerts::{Alerts, ParkedBranch};
use crate::dispatcher::{Dispatcher, FreedCapacity, Outcome};
use crate::metrics::TransactionMetrics;
use crate::runtime::handle::{Asked, Control, Lanes};
use crate::runtime::parking::ParkingLog;
use crate::runtime::recovery::{Recovered, count_finished};
use crate::runtime::replies::Replies;

/// Sleeping has no end by itself where nothing is due.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// Where the driver's commands go.
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
    healthy: watch::Sender<bool>,
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
            ports,
            replies: Replies::default(),
            parking: ParkingLog::default(),
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
        loop {
            self.wait(&mut stop).await;
            if *stop.borrow() {
                self.driver.stop(self.clock.now().mono, grace);
            }
            self.one_round();
            let now = self.clock.now();
            self.tell_health();
            self.parking.tell_overdue(now.mono);
            // A call that waits for its turn was not made, and would not be for as long as its
            // destination's breaker is open.
            let is_idle = |calls_in_flight| {
                self.lanes.are_empty() && calls_in_flight <= self.ports.dispatcher.waiting()
            };
            if let Some(ended) = self.driver.ended(now.mono, is_idle) {
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
            Some(control) = self.lanes.control.recv() => self.control(control),
            Some(asked) = self.lanes.requests.recv() => self.ask(asked),
            Some(asked) = self.lanes.begins.recv() => self.ask(asked),
            () = tokio::time::sleep(sleep) => {}
            _ = stop.changed(), if !stopping => {}
        }
    }

    fn until_deadline(&self) -> Duration {
        let now = self.clock.now().mono;
        let due = self.driver.next_wake(now).into_iter().chain(self.parking.next_due()).min();
        due.map_or(LONGEST_SLEEP, |at| at.since(now)).min(LONGEST_SLEEP)
    }

    /// Takes what waits in the channels, as far as the lanes have room; then everybody's turn.
    fn one_round(&mut self) {
        self.take_what_waits();
        self.handle_what_waits();
        self.flush();
    }

    fn handle_what_waits(&mut self) {
        self.driver.set_unwritten(self.ports.journal.backlog());
        loop {
            let now = self.clock.now();
            let Some(event) = self.driver.next(now.mono) else { break };
            let commands = self.driver.step(event, now);
            count_finished(&self.driver, &self.ports.metrics);
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
            Outcome::Answered(answer) => self.driver.answered(ticket, answer),
            Outcome::NotMade => self.driver.not_sent(ticket, None),
        }
    }

    fn ask(&mut self, asked: Asked) {
        let Asked { gid, ask, until, wait, reply } = asked;
        let give_up = self.clock.now().mono.after(wait);
        let reply_to = self.replies.expect(reply);
        let wait = Wait { until, give_up };
        self.driver.request(Request { reply_to, gid, ask, wait });
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Sync(done) => self.driver.sync(self.replies.expect_synced(done)),
            Control::Census(reply) => {
                let _hung_up = reply.send(self.driver.core().census());
            }
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
            JournalEvent::Durable(_)
            | JournalEvent::Exists(_)
            | JournalEvent::Quarantined(_)
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
            self.tell_of_parked(ParkedBranch::new(gid, parked));
        }
        for (gid, why) in alarms {
            self.ports.alerts.quarantined(&gid, &why, self.clock.now());
            tracing::error!(event = "transaction_quarantined", %gid, %why, "this transaction is quarantined; all others go on. Please report it");
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
            tracing::error!(
                event = "call_without_place",
                gid = %call.ticket.gid,
                "a call without a place for its answer"
            );
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

    fn tell_health(&self) {
        let healthy = self.driver.core().is_journal_keeping_up(self.clock.now());
        self.healthy.send_if_modified(|told| std::mem::replace(told, healthy) != healthy);
    }

    /// People hear of it in the log and by the webhook.
    fn tell_of_parked(&mut self, parked: ParkedBranch) {
        let now = self.clock.now();
        self.ports.alerts.parked(parked.clone(), now);
        self.parking.tell(parked, now.mono);
    }
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
