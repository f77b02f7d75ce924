//! Start and end of a life: registration, recovery in pages, kill -9, freezing.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tercet_engine::{Engine, EngineSettings, Ring, read_page};
use tercet_wire::{Epoch, Gid, Wall};

use crate::coverage::{CrashPoint, Mishap, Sometimes};
use crate::happening::{Fault, Happening, Heard};
use crate::journal::Writer;
use crate::node::{Around, Dispatch, Node, Running, Waiting, dispatch};

/// A wall clock further ahead of the journal than this is not believed.
const LONGEST_STOP: Duration = Duration::from_secs(600);

impl Node {
    /// The process starts: it registers, reads what is unfinished, and runs.
    pub(crate) fn starts(&mut self, around: &mut Around<'_>) {
        if self.running.is_some() {
            return;
        }
        self.lives += 1;
        let life = self.lives;
        around.rows.register(life);
        let wall = self.wall(around.stage);
        let doubts = |last: Wall| wall.since(last) > LONGEST_STOP;
        let clock_doubted = self.last_written.is_some_and(doubts);
        if clock_doubted {
            around.stage.saw(Sometimes::ClockDoubted);
        }
        let plan = &around.stage.plan;
        let settings = EngineSettings {
            rules: plan.rules.clone(),
            live_transactions: plan.live_transactions,
            waiting_transactions: plan.waiting,
            resting_transactions: plan.resting,
            destination_path_segments: dispatch::PATH_SEGMENTS,
            clock_doubted,
            waiters: plan.waiters,
            load_within: plan.answer_within,
            ..EngineSettings::default()
        };
        let ring = Ring::new(Engine::new(Epoch(life), settings), plan.answer_within);
        let now = around.stage.now;
        let mut running = Running {
            life,
            ring,
            mono_offset: around.stage.chance.below(1_000_000),
            frozen_until: 0,
            awake_since: now,
            from_journal: VecDeque::new(),
            answers: VecDeque::new(),
            without_room: VecDeque::new(),
            requests: VecDeque::new(),
            begins: VecDeque::new(),
            unsent: Vec::new(),
            writer: Writer::new(life),
            vacancies: BTreeMap::new(),
            reads_until: 0,
            dispatch: Dispatch::new(life, around.stage),
            waiting: BTreeMap::new(),
            next_reply: 0,
            round_at: None,
            fenced: false,
        };
        around.stage.note(|| format!("life {life} starts"));
        if !self.recover(&mut running, around) {
            let pause = around.stage.chance.between(10, 2_000);
            return around.stage.after(pause, Happening::Fault(Fault::NodeStarts));
        }
        self.running = Some(running);
        self.wake(0, around.stage);
    }

    /// Takes up what is unfinished; whether it lived through it.
    fn recover(&mut self, running: &mut Running, around: &mut Around<'_>) -> bool {
        let mut all = Vec::new();
        let mut after: Option<Gid> = None;
        loop {
            if around.stage.fault(around.stage.plan.node.crash_again / 4, CrashPoint::InRecovery) {
                return false;
            }
            let page = around.rows.unfinished(after.as_ref(), around.stage.plan.page);
            let page = read_page(page);
            for event in page.events {
                let now = running.now(self.wall(around.stage), around.stage);
                all.push((running.stepped(event, now, around), now));
            }
            after = page.after;
            if after.is_none() {
                break;
            }
        }
        around.oracle.recovered(&running.ring, around.rows, around.stage);
        for (commands, now) in all {
            running.carry_out(commands, now, around);
        }
        running.flush(around.stage);
        true
    }

    /// The process is killed. What is not durable is lost, and so is whoever waits; of a
    /// submission that is under way nobody can say.
    pub(crate) fn dies(&mut self, around: &mut Around<'_>) {
        let Some(running) = self.running.take() else { return };
        let stage = &mut *around.stage;
        for point in running.crash_points() {
            stage.saw(point);
        }
        stage.note(|| format!("life {} ends", running.life));
        if let Some(batch) = running.writer.under_way()
            && stage.chance.one_in(2)
        {
            // It was on its way to the database, and may reach it before the next life does.
            let (life, batch) = (running.life, batch.clone());
            let wait = stage.chance.mostly_small(2_000);
            stage.after(wait, Happening::Orphan { life, batch });
        }
        for Waiting { actor, number, .. } in running.waiting.into_values() {
            let heard = Heard::Nothing;
            stage.after(1, Happening::Heard { actor, number, heard });
        }
        let again = stage.fault(stage.plan.node.crash_again, Mishap::CrashAgain);
        let pause = stage.chance.mostly_small(5_000) + 1;
        stage.after(pause, Happening::Fault(Fault::NodeStarts));
        if again {
            let soon = pause + stage.chance.mostly_small(300);
            stage.after(soon, Happening::Fault(Fault::NodeDies));
        }
    }

    /// The process is stopped for a while: messages pile up, and its clocks go on.
    pub(crate) fn freezes(&mut self, for_ms: u64, around: &mut Around<'_>) {
        let Some(running) = &mut self.running else { return };
        let until = around.stage.now + for_ms;
        running.frozen_until = running.frozen_until.max(until);
        running.awake_since = running.frozen_until;
        self.wake(for_ms, around.stage);
    }
}

impl Running {
    fn crash_points(&self) -> Vec<CrashPoint> {
        let held = self.ring.held_effects() > 0;
        let table = [
            (CrashPoint::RecordsWait, self.writer.waits()),
            (CrashPoint::Submitting, self.writer.under_way().is_some()),
            (CrashPoint::HappenedUntold, self.writer.has_happened_untold()),
            (CrashPoint::DurableUnheard, !self.from_journal.is_empty()),
            (CrashPoint::EffectsHeld, held),
            (CrashPoint::CallsUnderWay, !self.dispatch.is_idle()),
            (CrashPoint::AnswersWait, !self.answers.is_empty()),
            (CrashPoint::SomebodyWaits, !self.waiting.is_empty()),
        ];
        let mut points: Vec<CrashPoint> =
            table.into_iter().filter(|(_, is)| *is).map(|(point, _)| point).collect();
        if points.is_empty() {
            points.push(CrashPoint::Idle);
        }
        points
    }
}

/// Milliseconds of a duration.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
