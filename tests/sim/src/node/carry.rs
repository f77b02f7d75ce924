//! What the ring's commands lead to.

use tercet_protocol::{Commands, Event, Now};

use crate::coverage::Mishap;
use crate::happening::{Happening, Heard};
use crate::journal::Said;
use crate::network;
use crate::node::{Around, FromJournal, Node, Running, Waiting};
use crate::stage::Stage;

impl Running {
    pub(super) fn step(&mut self, event: Event, now: Now, around: &mut Around<'_>) {
        let commands = self.stepped(event, now, around);
        self.carry_out(commands, around);
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
    pub(super) fn carry_out(&mut self, commands: Commands, around: &mut Around<'_>) {
        let stage = &mut *around.stage;
        let Commands { append, calls, replies, settled: _, unsettled: _, loads, alarms } = commands;
        self.unsent.extend(append);
        if !loads.is_empty() {
            let life = self.life;
            let wait = stage.chance.mostly_small(stage.plan.journal.commit);
            if !stage.fault(stage.plan.journal.load_silent, Mishap::LoadSilent) {
                stage.after(wait, Happening::Load { life, gids: loads });
            }
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
        for (gid, why) in alarms {
            around.oracle.alarm(&gid, &why, around.rows, stage);
        }
        for call in calls {
            if let Err(ticket) = self.dispatch.send(self.life, call, stage) {
                self.without_room.push_back(ticket);
            }
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
        let full = around.stage.now < self.disk_full_until && !around.stage.healed;
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let (changed, said) = running.writer.submitted(around.rows, full, around.stage);
        for changed in changed {
            around.oracle.written(&changed, around.stage);
        }
        running.hear(said);
        let delay = around.stage.chance.below(2);
        self.wake(delay, around.stage);
    }

    /// The database answers a load.
    pub(crate) fn loaded(
        &mut self,
        life: u64,
        gids: Vec<tercet_protocol::Gid>,
        around: &mut Around<'_>,
    ) {
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        let fails = around.stage.fault(around.stage.plan.journal.load_fails, Mishap::LoadFails);
        for gid in gids {
            let load = match fails {
                true => tercet_protocol::Load::Failed,
                false => around.rows.load(&gid),
            };
            running.from_journal.push_back(FromJournal::Loaded(gid, load));
        }
        self.wake(0, around.stage);
    }
}
