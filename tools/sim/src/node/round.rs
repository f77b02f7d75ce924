//! A round of the loop: one message from any lane, then every lane's turn, in the real shell's
//! order.

use tercet_engine::{Capacity, CapacityFreed, Event, Input};

use crate::journal::Said;
use crate::node::{Around, FromJournal, Node, Running};
use crate::scheduled_event::ScheduledEvent;
use crate::scheduler::Scheduler;

impl Node {
    /// See to it that the loop runs within so many milliseconds.
    pub(crate) fn wake(&mut self, within: u64, scheduler: &mut Scheduler) {
        let Some(running) = &mut self.running else { return };
        let at = (scheduler.now + within).max(running.frozen_until);
        if running.round_at.is_none_or(|planned| at < planned) {
            running.round_at = Some(at);
            scheduler.at(at, ScheduledEvent::Round { life: running.life });
        }
    }

    /// The loop runs, if there is anything for it.
    pub(crate) fn round(&mut self, life: u64, around: &mut Around<'_>) {
        let wall = self.wall(around.scheduler);
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        // An earlier round took this one's place.
        if running.round_at.is_none_or(|at| at > around.scheduler.now) {
            return;
        }
        running.round_at = None;
        let due = running.core.next_deadline();
        if due.is_some_and(|due| due <= running.mono(around.scheduler.now)) {
            let now = running.now(wall, around.scheduler);
            running.step(Event::Input(Input::Tick), now, around);
        }
        running.wake_dispatch(wall, around);
        running.take_what_waits(wall, around);
        running.flush(around.scheduler);
        around.oracle.round_ended(running, running.awake_since, around.rows, around.scheduler);
        let fenced = running.fenced;
        let timers = running.core.next_deadline().into_iter().chain(running.dispatch.next_wake());
        let mono = running.mono(around.scheduler.now);
        let next = timers.min().map(|due| due.0.saturating_sub(mono.0));
        let more = running.has_messages();
        if fenced {
            return self.dies(around);
        }
        if more {
            self.wake(0, around.scheduler);
        } else if let Some(wait) = next {
            self.wake(wait, around.scheduler);
        }
    }
}

impl Running {
    fn has_messages(&self) -> bool {
        let lanes = self.requests.len() + self.begins.len() + self.answers.len();
        lanes + self.from_journal.len() + self.without_room.len() + self.capacity.len() > 0
    }

    /// What finishes work comes before what begins it.
    fn take_what_waits(&mut self, wall: tercet_wire::Wall, around: &mut Around<'_>) {
        for _ in 0..self.from_journal.len() {
            let Some(event) = self.from_journal.pop_front() else { break };
            let event = match event {
                FromJournal::Said(Said::Durable(seq)) => Event::Input(Input::Durable(seq)),
                FromJournal::Said(Said::Exists(gid)) => Event::Input(Input::Exists(gid)),
                FromJournal::Said(Said::Quarantined(gid)) => Event::Input(Input::Quarantined(gid)),
                FromJournal::Said(Said::Failing) => Event::Journal { healthy: false },
                FromJournal::Said(Said::Healed) => Event::Journal { healthy: true },
                FromJournal::Said(Said::Fenced) => {
                    self.fenced = true;
                    continue;
                }
                FromJournal::PageOfGids(gids) => Event::Input(Input::PageOfGids(gids)),
                FromJournal::Loaded(gid, load) => Event::Input(Input::Loaded(gid, load)),
            };
            let now = self.now(wall, around.scheduler);
            self.step(event, now, around);
        }
        for _ in 0..self.answers.len() {
            let Some((ticket, answer)) = self.answers.pop_front() else { break };
            let now = self.now(wall, around.scheduler);
            self.step(Event::Input(Input::Answered(ticket, answer)), now, around);
        }
        for _ in 0..self.without_room.len() {
            let Some((ticket, at)) = self.without_room.pop_front() else { break };
            let now = self.now(wall, around.scheduler);
            self.step(Event::Input(Input::NotSent(ticket, at)), now, around);
        }
        for (destination, Capacity { places, healed }) in std::mem::take(&mut self.capacity) {
            let now = self.now(wall, around.scheduler);
            let freed = CapacityFreed { destination, places, healed };
            self.step(Event::Input(Input::CapacityFreed(freed)), now, around);
        }
        for _ in 0..self.requests.len() {
            let Some(asked) = self.requests.pop_front() else { break };
            self.ask(asked, wall, around);
        }
        for _ in 0..self.begins.len() {
            let Some(asked) = self.begins.pop_front() else { break };
            self.ask(asked, wall, around);
        }
    }
}
