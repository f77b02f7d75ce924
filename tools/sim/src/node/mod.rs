//! The coordinator's process: the real driver and the real group commit, moved by virtual time
//! where the daemon's shell and writer move them by tokio's. It can be killed, stopped, started
//! and frozen at any moment.

mod carry;
mod cluster;
mod dispatch;
mod journal;
mod life;
mod lines;
mod pauses;
mod requests;
mod retention;
mod round;

use std::collections::BTreeMap;

pub(crate) use dispatch::Dispatch;
pub(crate) use life::LONGEST_STOP;
pub(crate) use lines::LineEnd;
pub(crate) use pauses::KNOWN_WITHIN_MS;
pub(crate) use retention::RETENTION;
use tercet_engine::{
    Backlog, Core, Driver, GroupCommit, Lane, NodeWatch, Outages, ReplyTo, TakeOver,
};
use tercet_wire::{Gid, Mono, Now, SteadyWall, Wall};

use crate::initiators::Initiators;
use crate::oracle::Oracle;
use crate::rows::Rows;
use crate::scheduled_event::{NodeEvent, ScheduledEvent};
use crate::scheduler::Scheduler;
use crate::service::Service;

/// The wall time at which the world begins.
const BEGINNING: i64 = 1_763_640_000_000;

/// What the coordinator reaches beyond its own process.
pub(crate) struct Around<'a> {
    pub(crate) scheduler: &'a mut Scheduler,
    pub(crate) rows: &'a mut Rows,
    pub(crate) services: &'a [Service],
    pub(crate) initiators: &'a Initiators,
    pub(crate) oracle: &'a mut Oracle,
}

/// What of the database a node reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    All,
    /// Nothing can be written.
    ReadsAlone,
    Nothing,
}

/// The machine on which the coordinator runs.
#[derive(Debug, Default)]
pub(crate) struct Node {
    number: usize,
    pub(crate) running: Option<Running>,
    wall_offset: i64,
    disk_full_until: u64,
    /// Until then it cannot reach the database.
    cut_off_until: u64,
    /// Whether its last life was fenced.
    was_fenced: bool,
    /// The latest date that the journal holds.
    last_written: Option<Wall>,
}

/// One life of the coordinator's process.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) life: u64,
    /// On which node.
    pub(crate) node: usize,
    /// The eyes on other lives, where there are any.
    watch: Option<NodeWatch>,
    /// The take-over under way.
    take_over: Option<TakeOver>,
    pub(crate) driver: Driver,
    /// What its monotonic clock showed when the world began, were it that old.
    mono_offset: u64,
    frozen_until: u64,
    /// When it ran last or was thawed: what was due before could not be done before.
    awake_since: u64,
    /// When the journal's reader has told all it was asked for.
    reads_until: u64,
    pub(crate) writer: GroupCommit,
    /// By which what is old is forgotten.
    steady: SteadyWall,
    /// Appended, and not settled by the writer.
    pub(crate) unwritten: Backlog,
    /// Whether the batch under way has happened although it was reported failed.
    happened: bool,
    /// When the writer is to be looked after next.
    writer_at: Option<u64>,
    pub(crate) dispatch: Dispatch,
    /// Who does not answer, and what people were told of it.
    pub(crate) outages: Outages,
    /// Who waits for which reply.
    waiting: BTreeMap<ReplyTo, Waiting>,
    next_reply: u64,
    /// Lanes with more than fits into the present round.
    full_lanes: Vec<Lane>,
    /// The next round that is on the agenda.
    round_at: Option<u64>,
    /// It has stopped, and its journal writes what is left until this moment.
    closes_until: Option<Mono>,
}

/// Somebody who waits: the actor, its own number for the request, and what it is about.
#[derive(Debug)]
struct Waiting {
    actor: usize,
    number: u64,
    gid: Gid,
    asked_at: u64,
    hung_up: bool,
}

impl Node {
    pub(crate) fn new(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    /// Whether and how it reaches the database.
    fn reach(&self, scheduler: &Scheduler) -> Reach {
        let now = scheduler.now;
        if scheduler.healed {
            Reach::All
        } else if now < self.cut_off_until {
            Reach::Nothing
        } else if now < self.disk_full_until {
            Reach::ReadsAlone
        } else {
            Reach::All
        }
    }

    /// The wall clock of its machine. Participants share it: whether clocks agree is not what
    /// anything rests on.
    pub(crate) fn wall(&self, scheduler: &Scheduler) -> Wall {
        let passed = i64::try_from(scheduler.now).unwrap_or(i64::MAX);
        Wall(BEGINNING + passed + self.wall_offset)
    }

    pub(crate) fn wall_jumps(&mut self, by_ms: i64) {
        self.wall_offset += by_ms;
    }

    pub(crate) fn is_cut_off(&mut self, until: u64) {
        self.cut_off_until = until;
    }

    pub(crate) fn disk_is_full(&mut self, until: u64) {
        self.disk_full_until = until;
    }

    /// When it can do something again, if it is frozen.
    pub(crate) fn frozen_until(&self, scheduler: &Scheduler) -> Option<u64> {
        let until = self.running.as_ref()?.frozen_until;
        (until > scheduler.now).then_some(until)
    }

    /// Something happens inside the process; what was meant for an earlier life is lost.
    pub(crate) fn happens(&mut self, life: u64, event: NodeEvent, around: &mut Around<'_>) {
        let wall = self.wall(around.scheduler);
        let reach = self.reach(around.scheduler);
        let Some(running) = self.running.as_mut().filter(|running| running.life == life) else {
            return;
        };
        match event {
            NodeEvent::Round => return self.round(around),
            NodeEvent::Submission => {
                if let Some(date) = running.submitted(wall, reach, around) {
                    self.last_written = Some(date);
                }
                self.close_if_over(around);
            }
            NodeEvent::WriterDue => {
                running.writer_due(wall, around);
                self.close_if_over(around);
            }
            NodeEvent::Load(gids) => running.loads(gids, reach, around),
            NodeEvent::PageRequest(after) => running.page_requests(after, reach, around),
            NodeEvent::Look => return running.look(reach, around),
            NodeEvent::Looked { rows, asked } => running.looked(rows, asked, wall, around),
            NodeEvent::TakeOver(step) => return running.database_takes_over(step, reach, around),
            NodeEvent::TakeOverAnswered(answer) => {
                running.take_over_answered(answer, wall, around);
            }
            NodeEvent::Read(read) => {
                read.into_iter().for_each(|event| running.driver.journal(event));
            }
            NodeEvent::ReadsPauses => running.reads_pauses(wall, around),
            NodeEvent::HungUp(reply_to) => running.hung_up(reply_to, around.scheduler),
            NodeEvent::CallGivenUp { http_call } => running.call_given_up(http_call, wall, around),
        }
        let delay = around.scheduler.rng.below(2);
        self.wake(delay, around.scheduler);
    }
}

impl Running {
    pub(crate) fn core(&self) -> &Core {
        self.driver.core()
    }

    /// So many milliseconds from now, unless this life is over by then.
    fn after(&self, wait: u64, event: NodeEvent, scheduler: &mut Scheduler) {
        scheduler.after(wait, ScheduledEvent::Node { life: self.life, event });
    }

    /// Whether there was more in this lane than fits into the present round.
    pub(crate) fn lane_was_full(&self, lane: Lane) -> bool {
        self.full_lanes.contains(&lane)
    }

    fn now(&self, wall: Wall, scheduler: &mut Scheduler) -> Now {
        Now { mono: self.mono(scheduler.now), wall, entropy: scheduler.rng.next() }
    }

    /// Whoever hung up is waited for no longer.
    pub(crate) fn waits_for_nobody(&self, scheduler: &mut Scheduler) {
        for (reply_to, waiting) in &self.waiting {
            if waiting.hung_up && self.core().engine().is_waiting(&waiting.gid, *reply_to) {
                scheduler.broke(format!("{} waits for {}, who hung up", waiting.gid, reply_to.0));
            }
        }
    }

    /// What a request that waits is about, and when it came.
    pub(crate) fn asked_about(&self, reply_to: ReplyTo) -> Option<(&Gid, u64)> {
        self.waiting.get(&reply_to).map(|waiting| (&waiting.gid, waiting.asked_at))
    }

    /// What its monotonic clock shows at a moment.
    pub(crate) fn mono(&self, at: u64) -> Mono {
        Mono(at + self.mono_offset)
    }

    /// Whether what was due at this moment is late: by more than a millisecond, and not since the
    /// process was not there to notice.
    pub(crate) fn is_overdue(&self, due: Mono, awake_since: u64, now: u64) -> bool {
        due < Mono(self.mono(now).0.saturating_sub(1)) && due >= self.mono(awake_since)
    }

    /// When its monotonic clock shows this.
    fn at(&self, mono: Mono) -> u64 {
        mono.0.saturating_sub(self.mono_offset)
    }
}
