//! What the ring's commands lead to.

use tercet_engine::{Capacity, CapacityFreed, Commands, Event, Load, Ticket};
use tercet_wire::{Answer, Gid, Now, Wall};

use crate::coverage::{Mishap, Sometimes};
use crate::journal::Said;
use crate::network;
use crate::node::dispatch::BreakerNews;
use crate::node::{Around, FromJournal, Node, Running, Waiting};
use crate::scheduled_event::{Heard, ScheduledEvent};
use crate::scheduler::Scheduler;

impl Running {
    pub(super) fn step(&mut self, event: Event, now: Now, around: &mut Around<'_>) {
        let commands = self.stepped(event, now, around);
        self.carry_out(commands, now, around);
    }

    /// Steps the ring under the oracle's eyes; what it commands is not carried out yet.
    pub(super) fn stepped(&mut self, event: Event, now: Now, around: &mut Around<'_>) -> Commands {
        around.scheduler.note(|| format!("in  {}", crate::describe::event(&event)));
        around.oracle.before(&event, self, now, around.rows, around.scheduler);
        let commands = self.core.step(event, now);
        let Around { scheduler, rows, services, oracle } = around;
        oracle.after(&commands, self, now, rows, services, scheduler);
        commands
    }

    /// In the order the real shell carries them out.
    pub(super) fn carry_out(&mut self, commands: Commands, now: Now, around: &mut Around<'_>) {
        let scheduler = &mut *around.scheduler;
        let Commands {
            append,
            // This journal writes when it likes anyway.
            hurry: _,
            calls,
            replies,
            synced: _,
            unsynced: _,
            loads,
            page_requests,
            notify_when_free,
            retract,
            parked,
            alarms,
        } = commands;
        self.unsent.extend(append);
        if !loads.is_empty() {
            let life = self.life;
            let wait = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
            scheduler.after(wait, ScheduledEvent::Load { life, gids: loads });
        }
        for sweep in page_requests {
            let wait = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
            scheduler
                .after(wait, ScheduledEvent::PageRequest { life: self.life, after: sweep.after });
        }
        for (reply_to, reply) in replies {
            let Some(Waiting { actor, number, .. }) = self.waiting.remove(&reply_to) else {
                scheduler.broke(format!("a request was answered twice: {reply:?}"));
                continue;
            };
            let delay = network::delay(scheduler);
            let heard = Heard::Reply(Box::new(reply));
            scheduler.after(delay, ScheduledEvent::Heard { actor, number, heard });
        }
        for (gid, parked) in parked {
            around.oracle.parked(&gid, &parked, around.rows, scheduler);
        }
        for (gid, why) in alarms {
            around.oracle.alarm(&gid, &why, around.rows, scheduler);
        }
        for call in calls {
            if let Err(no_room) = self.dispatch.send(call, now, scheduler) {
                self.without_room.push_back(no_room);
            }
        }
        for ticket in retract {
            let retracted = self.dispatch.retract(&ticket, scheduler);
            self.without_room.extend(retracted.map(|ticket| (ticket, None)));
        }
        for destination in notify_when_free {
            let news = self.dispatch.notify_when_free(destination, now, scheduler);
            self.take_news(news);
        }
    }

    /// The dispatcher comes back to its lines.
    pub(super) fn wake_dispatch(&mut self, wall: Wall, around: &mut Around<'_>) {
        let now = self.now(wall, around.scheduler);
        let news = self.dispatch.wake(now, around.scheduler);
        self.take_news(news);
    }

    pub(super) fn take_news(&mut self, news: BreakerNews) {
        self.answers.extend(news.answers);
        for CapacityFreed { destination, places, healed } in news.capacity {
            let room = Capacity { places, healed };
            let told = self.capacity.entry(destination).or_insert(room);
            *told = Capacity { places, healed: told.healed || healed };
        }
    }

    /// The journal gets all records of a round in one piece.
    pub(super) fn flush(&mut self, scheduler: &mut Scheduler) {
        if !self.unsent.is_empty() {
            let said = self.writer.append(std::mem::take(&mut self.unsent), scheduler);
            self.hear(said);
        }
    }

    fn hear(&mut self, said: Vec<Said>) {
        self.from_journal.extend(said.into_iter().map(FromJournal::Said));
    }
}

impl Node {
    /// A submission reaches the database.
    pub(crate) fn submitted(&mut self, life: u64, around: &mut Around<'_>) {
        let wall = self.wall(around.scheduler);
        let full = around.scheduler.now < self.disk_full_until && !around.scheduler.healed;
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let (changed, said) = running.writer.submitted(around.rows, full, around.scheduler);
        if !changed.is_empty() {
            self.last_written = Some(wall);
        }
        for changed in changed {
            around.oracle.written(&changed, around.scheduler);
        }
        running.hear(said);
        let delay = around.scheduler.rng.below(2);
        self.wake(delay, around.scheduler);
    }

    /// The database reads what was asked for.
    pub(crate) fn loads(&mut self, life: u64, gids: Vec<Gid>, around: &mut Around<'_>) {
        let fails =
            around.scheduler.fault(around.scheduler.plan.journal.load_fails, Mishap::LoadFails);
        let read = gids.into_iter().map(|gid| {
            let load = if fails { Load::Failed } else { around.rows.load(&gid) };
            FromJournal::Loaded(gid, load)
        });
        let read = read.collect();
        let scheduler = &mut *around.scheduler;
        if scheduler.fault(scheduler.plan.journal.load_late, Mishap::LoadLate) {
            // Whoever asked is told something else by then, and may have asked again.
            let most =
                u64::try_from(scheduler.plan.request_timeout.as_millis()).unwrap_or(u64::MAX);
            let late = scheduler.rng.between(1, most.saturating_mul(3));
            return scheduler.after(late, ScheduledEvent::Read { life, read });
        }
        self.is_read(life, read, scheduler);
    }

    /// The database reads which transactions rest.
    pub(crate) fn page_requests(
        &mut self,
        life: u64,
        after: Option<&Gid>,
        around: &mut Around<'_>,
    ) {
        around.scheduler.saw(Sometimes::PageOfGids);
        let page = around.rows.decided_unfinished(after, around.scheduler.plan.page);
        self.is_read(life, vec![FromJournal::PageOfGids(page)], around.scheduler);
    }

    /// What was read is told in the order it was asked for, and may be old by then.
    fn is_read(&mut self, life: u64, read: Vec<FromJournal>, scheduler: &mut Scheduler) {
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let takes = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
        running.reads_until = running.reads_until.max(scheduler.now + takes);
        scheduler.at(running.reads_until, ScheduledEvent::Read { life, read });
    }

    /// What was read reaches the coordinator.
    pub(crate) fn has_read(
        &mut self,
        life: u64,
        read: Vec<FromJournal>,
        scheduler: &mut Scheduler,
    ) {
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        running.from_journal.extend(read);
        self.wake(0, scheduler);
    }

    /// An answer arrives, for a call of this life or of another.
    pub(crate) fn answered(
        &mut self,
        http_call: u64,
        ticket: &Ticket,
        answer: Answer,
        scheduler: &mut Scheduler,
    ) {
        let wall = self.wall(scheduler);
        let Some(running) = &mut self.running else { return };
        let now = running.now(wall, scheduler);
        let of_this_life = ticket.epoch.0 == running.life;
        let news = match of_this_life {
            true => running.dispatch.ended(http_call, answer.clone(), now, scheduler),
            false => None,
        };
        if let Some(news) = news {
            running.take_news(news);
        } else if scheduler.fault(scheduler.plan.net.stale, Sometimes::AnswerAfterItsTime) {
            if !of_this_life {
                scheduler.saw(Sometimes::AnswerOfAnOldLife);
            }
            running.answers.push_back((ticket.clone(), answer));
        }
        let delay = scheduler.rng.below(2);
        self.wake(delay, scheduler);
    }

    /// The patience with a call is over.
    pub(crate) fn call_given_up(&mut self, life: u64, http_call: u64, scheduler: &mut Scheduler) {
        let wall = self.wall(scheduler);
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let now = running.now(wall, scheduler);
        let nothing = Answer::Nothing { why: "timeout".to_owned() };
        if let Some(news) = running.dispatch.ended(http_call, nothing, now, scheduler) {
            scheduler.saw(Sometimes::Timeout);
            running.take_news(news);
            self.wake(0, scheduler);
        }
    }
}
