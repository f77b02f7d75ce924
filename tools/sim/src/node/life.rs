//! Start and end of a life: registration, recovery in pages, kill -9, freezing.

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_engine::{
    Backlog, Caps, Core, Driver, DriverSettings, Ended, Engine, EngineSettings, GroupCommit,
    GroupCommitSettings, Lane, Outages, Paused, Rules, read_page,
};
use tercet_wire::{Backoff, Epoch, Gid, Mono, Now, SteadyWall, Wall};

use crate::coverage::{CrashPoint, Mishap, Pausing, Sometimes, Together};
use crate::node::{Around, Dispatch, Node, Running, Waiting, dispatch};
use crate::plan::Plan;
use crate::scheduled_event::{Fault, Heard, NodeEvent, ScheduledEvent};
use crate::scheduler::Scheduler;

/// A wall clock further ahead of the journal than this is not believed.
pub(crate) const LONGEST_STOP: Duration = Duration::from_secs(600);

/// How long a breaker is open before people are told.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(3);

impl Node {
    /// The process starts: it registers, reads what is unfinished, and runs.
    pub(crate) fn starts(&mut self, around: &mut Around<'_>) {
        if self.running.is_some() {
            return;
        }
        let life = around.scheduler.new_life(self.number);
        match around.scheduler.is_cluster() {
            true => around.rows.register(life, self.number),
            false => around.rows.register_alone(life),
        }
        if std::mem::take(&mut self.was_fenced) {
            around.scheduler.saw(Together::Rejoined);
        }
        let wall = self.wall(around.scheduler);
        let doubts = |last: Wall| wall.since(last) > LONGEST_STOP;
        let clock_doubted = self.last_written.is_some_and(doubts);
        if clock_doubted {
            around.scheduler.saw(Sometimes::ClockDoubted);
        }
        let mono_offset = around.scheduler.rng.below(1_000_000);
        let mono = Mono(around.scheduler.now + mono_offset);
        let started = Now { mono, wall, entropy: 0 };
        let steady = SteadyWall::start(started, self.last_written, LONGEST_STOP);
        let plan = &around.scheduler.plan;
        let paused = around.rows.paused.clone();
        let rules = Rules { paused: Paused::of(paused.clone()), ..plan.rules.clone() };
        let settings = EngineSettings {
            rules,
            live_transactions: plan.live_transactions,
            in_memory_waiting_transactions: plan.waiting,
            paged_out_transactions: plan.paged_out,
            destination_path_segments: dispatch::PATH_SEGMENTS,
            clock_doubted,
            waiters: plan.waiters,
            load_within: plan.request_timeout,
            ..EngineSettings::default()
        };
        let core = Core::new(Engine::new(Epoch(life), settings), plan.request_timeout);
        let driver = Driver::new(core, driver_settings(plan));
        let now = around.scheduler.now;
        let mut running = Running {
            life,
            node: self.number,
            watch: self.watch(life, around.scheduler),
            take_over: None,
            driver,
            mono_offset,
            frozen_until: 0,
            awake_since: now,
            reads_until: 0,
            writer: GroupCommit::new(writer_settings(plan), mono),
            steady,
            unwritten: Backlog::default(),
            happened: false,
            writer_at: None,
            dispatch: Dispatch::new(life, around.scheduler),
            outages: Outages::new(UNREACHABLE_AFTER),
            waiting: BTreeMap::new(),
            next_reply: 0,
            full_lanes: Vec::new(),
            round_at: None,
            closes_until: None,
        };
        around.scheduler.note(|| format!("life {life} starts"));
        if !paused.is_empty() {
            around.scheduler.saw(Pausing::AtAStart);
        }
        running.begins_to_pause(paused);
        if !self.recover(&mut running, around) {
            let pause = around.scheduler.rng.between(10, 2_000);
            let again = Fault::NodeStarts { node: self.number };
            return around.scheduler.after(pause, ScheduledEvent::Fault(again));
        }
        if running.watch.is_some() {
            running.after(0, NodeEvent::Look, around.scheduler);
            // The heartbeat.
            let wall = self.wall(around.scheduler);
            running.writer_at = Some(around.scheduler.now);
            running.writer_due(wall, around);
        }
        self.running = Some(running);
        self.wake(0, around.scheduler);
    }

    /// Takes up what is unfinished; whether it lived through it.
    fn recover(&mut self, running: &mut Running, around: &mut Around<'_>) -> bool {
        let mut all = Vec::new();
        let mut after: Option<Gid> = None;
        loop {
            if around
                .scheduler
                .fault(around.scheduler.plan.node.crash_again / 4, CrashPoint::InRecovery)
            {
                return false;
            }
            let page =
                around.rows.unfinished(running.life, after.as_ref(), around.scheduler.plan.page);
            let page = read_page(page);
            for event in page.events {
                let now = running.now(self.wall(around.scheduler), around.scheduler);
                all.push((running.stepped(event, now, around), now));
            }
            after = page.after;
            if after.is_none() {
                break;
            }
        }
        around.oracle.recovered(running, around.rows, around.scheduler);
        for (commands, now) in all {
            running.carry_out(commands, now, around);
        }
        let now = running.now(self.wall(around.scheduler), around.scheduler);
        running.flush(now, around);
        true
    }

    /// The process is killed. What is not durable is lost, and so is whoever waits; of a
    /// submission that is under way nobody can say.
    pub(crate) fn dies(&mut self, around: &mut Around<'_>) {
        let Some(running) = self.running.take() else { return };
        let scheduler = &mut *around.scheduler;
        for point in running.crash_points() {
            scheduler.saw(point);
        }
        scheduler.note(|| format!("life {} ends", running.life));
        if let Some(submitted) = running.writer.under_way()
            && scheduler.rng.one_in(2)
        {
            // It was on its way to the database, and may reach it before the next life does.
            let (life, submitted) = (running.life, submitted.clone());
            let wait = scheduler.rng.mostly_small(2_000);
            scheduler.after(wait, ScheduledEvent::Orphan { life, submitted });
        }
        for Waiting { actor, number, .. } in running.waiting.into_values() {
            let heard = Heard::Nothing;
            scheduler.after(1, ScheduledEvent::Heard { actor, number, heard });
        }
        let again = scheduler.fault(scheduler.plan.node.crash_again, Mishap::CrashAgain);
        // So long that others often notice before it is back.
        let longest = if scheduler.is_cluster() { 20_000 } else { 5_000 };
        let (pause, node) = (scheduler.rng.mostly_small(longest) + 1, self.number);
        scheduler.after(pause, ScheduledEvent::Fault(Fault::NodeStarts { node }));
        if again {
            let soon = pause + scheduler.rng.mostly_small(300);
            scheduler.after(soon, ScheduledEvent::Fault(Fault::NodeDies { node }));
        }
    }

    /// The process is asked to stop.
    pub(crate) fn stops(&mut self, grace: Duration, scheduler: &mut Scheduler) {
        let Some(running) = &mut self.running else { return };
        let now = running.mono(scheduler.now);
        running.driver.stop(now, grace);
        self.wake(0, scheduler);
    }

    /// The loop has ended; the journal writes what is left, if it may.
    pub(super) fn ends(&mut self, ended: Ended, around: &mut Around<'_>) {
        let Some(running) = &mut self.running else { return };
        let Ended::Stopped { grace_ends } = ended else {
            if !running.waiting.is_empty() {
                around.scheduler.broke("it was fenced, and not everybody was told");
            }
            around.scheduler.saw(Together::Fenced);
            self.was_fenced = true;
            return self.dies(around);
        };
        let scheduler = &mut *around.scheduler;
        let in_time =
            running.mono(scheduler.now) < running.driver.gives_up_at().unwrap_or_default();
        scheduler.saw(if in_time { Sometimes::StoppedIdle } else { Sometimes::StoppedLate });
        if in_time && !running.waiting.is_empty() {
            scheduler.broke("it stopped although somebody still waited");
        }
        running.closes_until = Some(grace_ends);
        match scheduler.is_cluster() {
            true => running.writer.leave(),
            false => running.writer.close(),
        }
        running.writer_at = Some(scheduler.now);
        running.after(0, NodeEvent::WriterDue, scheduler);
        let rest = running.at(grace_ends).saturating_sub(scheduler.now);
        running.after(rest, NodeEvent::WriterDue, scheduler);
    }

    /// After the loop has ended: the process ends when its journal has, or when the grace has.
    pub(super) fn close_if_over(&mut self, around: &mut Around<'_>) {
        let Some(running) = &self.running else { return };
        let Some(until) = running.closes_until else { return };
        if running.writer.is_over() {
            match running.writer.is_fenced() {
                true => around.scheduler.saw(Together::FencedWhileItStops),
                false => around.oracle.of(self.number).journal.closed(around.scheduler),
            }
            self.dies(around);
        } else if running.mono(around.scheduler.now) >= until {
            self.dies(around);
        }
    }

    /// The process is frozen for a while: messages pile up, and its clocks go on.
    pub(crate) fn freezes(&mut self, for_ms: u64, around: &mut Around<'_>) {
        let Some(running) = &mut self.running else { return };
        if around.scheduler.is_cluster() {
            running.freezes_at_a_commit(around.scheduler);
        }
        let until = around.scheduler.now + for_ms;
        running.frozen_until = running.frozen_until.max(until);
        running.awake_since = running.frozen_until;
        self.wake(for_ms, around.scheduler);
    }
}

impl Running {
    fn crash_points(&self) -> Vec<CrashPoint> {
        let table = [
            (CrashPoint::RecordsWait, self.writer.waiting() > 0),
            (CrashPoint::Submitting, self.writer.under_way().is_some()),
            (CrashPoint::HappenedUntold, self.happened),
            (CrashPoint::DurableUnheard, self.driver.waiting(Lane::Journal) > 0),
            (CrashPoint::EffectsHeld, self.core().held_effects() > 0),
            (CrashPoint::CallsUnderWay, !self.dispatch.is_idle()),
            (CrashPoint::AnswersWait, self.driver.waiting(Lane::Answers) > 0),
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

fn driver_settings(plan: &Plan) -> DriverSettings {
    let most_unwritten = Backlog { records: plan.most_unwritten, bytes: usize::MAX };
    DriverSettings { calls: plan.dispatch.inbox, lane_bound: plan.lane_bound, most_unwritten }
}

fn writer_settings(plan: &Plan) -> GroupCommitSettings {
    let plan = &plan.journal;
    GroupCommitSettings {
        caps: Caps { records: plan.batch, binds: 26_000, bytes: 4 << 20 },
        linger: Duration::from_millis(plan.linger),
        resubmit: Backoff { first: Duration::from_millis(50), cap: Duration::from_millis(500) },
        longest_silence: Duration::from_millis(plan.silence),
    }
}

/// Milliseconds of a duration.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
