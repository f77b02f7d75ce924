//! What the ring's commands lead to.

use tercet_engine::{Commands, Event, Load, Room, Ticket, Vacancy};
use tercet_wire::{Answer, Gid, Now, Wall};

use crate::coverage::{Mishap, Sometimes};
use crate::happening::{Happening, Heard};
use crate::journal::Said;
use crate::network;
use crate::node::dispatch::News;
use crate::node::{Around, FromJournal, Node, Running, Waiting};
use crate::stage::Stage;

impl Running {
    pub(super) fn step(&mut self, event: Event, now: Now, around: &mut Around<'_>) {
        let commands = self.stepped(event, now, around);
        self.carry_out(commands, now, around);
    }

    /// Steps the ring under the oracle's eyes; what it commands is not carried out yet.
    pub(super) fn stepped(&mut self, event: Event, now: Now, around: &mut Around<'_>) -> Commands {
        around.stage.note(|| format!("in  {}", crate::told::event(&event)));
        around.oracle.before(&event, self, now, around.rows, around.stage);
        let commands = self.ring.step(event, now);
        let Around { stage, rows, services, oracle } = around;
        oracle.after(&commands, self, now, rows, services, stage);
        commands
    }

    /// In the order the real shell carries them out.
    pub(super) fn carry_out(&mut self, commands: Commands, now: Now, around: &mut Around<'_>) {
        let stage = &mut *around.stage;
        let Commands {
            append,
            // This journal writes when it likes anyway.
            hurry: _,
            calls,
            replies,
            settled: _,
            unsettled: _,
            loads,
            sweeps,
            await_room,
            retract,
            parked,
            alarms,
        } = commands;
        self.unsent.extend(append);
        if !loads.is_empty() {
            let life = self.life;
            let wait = stage.chance.mostly_small(stage.plan.journal.commit);
            stage.after(wait, Happening::Load { life, gids: loads });
        }
        for sweep in sweeps {
            let wait = stage.chance.mostly_small(stage.plan.journal.commit);
            stage.after(wait, Happening::Sweep { life: self.life, after: sweep.after });
        }
        for (reply_to, reply) in replies {
            let Some(Waiting { actor, number, .. }) = self.waiting.remove(&reply_to) else {
                stage.broke(format!("a request was answered twice: {reply:?}"));
                continue;
            };
            let delay = network::delay(stage);
            let heard = Heard::Reply(Box::new(reply));
            stage.after(delay, Happening::Heard { actor, number, heard });
        }
        for (gid, parked) in parked {
            around.oracle.parked(&gid, &parked, around.rows, stage);
        }
        for (gid, why) in alarms {
            around.oracle.alarm(&gid, &why, around.rows, stage);
        }
        for call in calls {
            if let Err(no_room) = self.dispatch.send(call, now, stage) {
                self.without_room.push_back(no_room);
            }
        }
        for ticket in retract {
            let retracted = self.dispatch.retract(&ticket, stage);
            self.without_room.extend(retracted.map(|ticket| (ticket, None)));
        }
        for destination in await_room {
            let news = self.dispatch.await_room(destination, now, stage);
            self.take_news(news);
        }
    }

    /// The dispatcher comes back to its lines.
    pub(super) fn wake_dispatch(&mut self, wall: Wall, around: &mut Around<'_>) {
        let now = self.now(wall, around.stage);
        let news = self.dispatch.wake(now, around.stage);
        self.take_news(news);
    }

    pub(super) fn take_news(&mut self, news: News) {
        self.answers.extend(news.answers);
        for Vacancy { destination, places, healed } in news.vacancies {
            let room = Room { places, healed };
            let told = self.vacancies.entry(destination).or_insert(room);
            *told = Room { places, healed: told.healed || healed };
        }
    }

    /// The journal gets all records of a round in one piece.
    pub(super) fn flush(&mut self, stage: &mut Stage) {
        if !self.unsent.is_empty() {
            let said = self.writer.append(std::mem::take(&mut self.unsent), stage);
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
        let wall = self.wall(around.stage);
        let full = around.stage.now < self.disk_full_until && !around.stage.healed;
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let (changed, said) = running.writer.submitted(around.rows, full, around.stage);
        if !changed.is_empty() {
            self.last_written = Some(wall);
        }
        for changed in changed {
            around.oracle.written(&changed, around.stage);
        }
        running.hear(said);
        let delay = around.stage.chance.below(2);
        self.wake(delay, around.stage);
    }

    /// The database reads what was asked for.
    pub(crate) fn loads(&mut self, life: u64, gids: Vec<Gid>, around: &mut Around<'_>) {
        let fails = around.stage.fault(around.stage.plan.journal.load_fails, Mishap::LoadFails);
        let read = gids.into_iter().map(|gid| {
            let load = if fails { Load::Failed } else { around.rows.load(&gid) };
            FromJournal::Loaded(gid, load)
        });
        let read = read.collect();
        let stage = &mut *around.stage;
        if stage.fault(stage.plan.journal.load_late, Mishap::LoadLate) {
            // Whoever asked is told something else by then, and may have asked again.
            let most = u64::try_from(stage.plan.answer_within.as_millis()).unwrap_or(u64::MAX);
            let late = stage.chance.between(1, most.saturating_mul(3));
            return stage.after(late, Happening::Read { life, read });
        }
        self.is_read(life, read, stage);
    }

    /// The database reads which transactions rest.
    pub(crate) fn sweeps(&mut self, life: u64, after: Option<&Gid>, around: &mut Around<'_>) {
        around.stage.saw(Sometimes::Swept);
        let page = around.rows.decided_unfinished(after, around.stage.plan.page);
        self.is_read(life, vec![FromJournal::Swept(page)], around.stage);
    }

    /// What was read is told in the order it was asked for, and may be old by then.
    fn is_read(&mut self, life: u64, read: Vec<FromJournal>, stage: &mut Stage) {
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let takes = stage.chance.mostly_small(stage.plan.journal.commit);
        running.reads_until = running.reads_until.max(stage.now + takes);
        stage.at(running.reads_until, Happening::Read { life, read });
    }

    /// What was read reaches the coordinator.
    pub(crate) fn has_read(&mut self, life: u64, read: Vec<FromJournal>, stage: &mut Stage) {
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        running.from_journal.extend(read);
        self.wake(0, stage);
    }

    /// An answer arrives, for a call of this life or of another.
    pub(crate) fn answered(
        &mut self,
        exchange: u64,
        ticket: &Ticket,
        answer: Answer,
        stage: &mut Stage,
    ) {
        let wall = self.wall(stage);
        let Some(running) = &mut self.running else { return };
        let now = running.now(wall, stage);
        let of_this_life = ticket.epoch.0 == running.life;
        let news = match of_this_life {
            true => running.dispatch.ended(exchange, answer.clone(), now, stage),
            false => None,
        };
        if let Some(news) = news {
            running.take_news(news);
        } else if stage.fault(stage.plan.net.stale, Sometimes::AnswerAfterItsTime) {
            if !of_this_life {
                stage.saw(Sometimes::AnswerOfAnOldLife);
            }
            running.answers.push_back((ticket.clone(), answer));
        }
        let delay = stage.chance.below(2);
        self.wake(delay, stage);
    }

    /// The patience with a call is over.
    pub(crate) fn call_given_up(&mut self, life: u64, exchange: u64, stage: &mut Stage) {
        let wall = self.wall(stage);
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let now = running.now(wall, stage);
        let nothing = Answer::Nothing { why: "timeout".to_owned() };
        if let Some(news) = running.dispatch.ended(exchange, nothing, now, stage) {
            stage.saw(Sometimes::Timeout);
            running.take_news(news);
            self.wake(0, stage);
        }
    }
}
