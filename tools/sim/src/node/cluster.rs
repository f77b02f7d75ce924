//! One of several nodes: the real watch over the rows of all lives, and the real course of a
//! take-over, against rows in memory and with the faults of a database.

use tercet_engine::{
    JournalEvent, Lane, LifeRow, LifeState, NodeWatch, NodeWatchSettings, Submitted, TakeOver,
    TakeOverAnswer, TakeOverStep,
};
use tercet_wire::{Gid, Incarnation, Mono, Wall};

use crate::coverage::{Mishap, Together};
use crate::node::{Around, Node, Reach, Running};
use crate::rows::{Rows, incarnation};
use crate::scheduled_event::{Fault, NodeEvent, ScheduledEvent};
use crate::scheduler::Scheduler;

/// From one look to the next.
const LOOK_EVERY: u64 = 500;

impl Node {
    pub(super) fn watch(&self, life: u64, scheduler: &Scheduler) -> Option<NodeWatch> {
        let lease = scheduler.plan.cluster.lease;
        let settings = NodeWatchSettings {
            own: incarnation(life),
            node_id: format!("node-{}", self.number),
            lease,
            namesake: lease / 2,
        };
        scheduler.is_cluster().then(|| NodeWatch::new(settings))
    }

    /// The life that runs, if it lasts for as long as there are no faults.
    pub(crate) fn lasting_life(&self, scheduler: &Scheduler) -> Option<Incarnation> {
        let running = self.running.as_ref()?;
        let ends = running.closes_until.is_some() || running.driver.is_stopping();
        let is_frozen = running.frozen_until > scheduler.now;
        (!ends && !is_frozen).then(|| incarnation(running.life))
    }
}

impl Running {
    /// Whether it is at a take-over, so that some of what is its own is not read yet.
    pub(crate) fn takes_over(&self) -> bool {
        let unheard = self.driver.waiting(Lane::Journal) > 0 || self.writer.under_way().is_some();
        let arriving = self.core().engine().arriving() > 0;
        self.watch.is_some() && (self.take_over.is_some() || unheard || arriving)
    }

    /// Whether a transaction that is read was taken over.
    pub(crate) fn is_arriving(&self, gid: &Gid) -> bool {
        self.core().engine().is_arriving(gid)
    }

    /// The database reads the rows of all lives.
    pub(super) fn look(&mut self, reach: Reach, around: &mut Around<'_>) {
        let scheduler = &mut *around.scheduler;
        if scheduler.healed && scheduler.settled {
            return;
        }
        self.after(LOOK_EVERY, NodeEvent::Look, scheduler);
        let fails = reach == Reach::Nothing
            || scheduler.fault(scheduler.plan.journal.load_fails / 4, Together::LookFails);
        let rows = (!fails).then(|| around.rows.lives.rows().cloned().collect());
        let wait = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
        let asked = self.mono(scheduler.now);
        self.after(wait, NodeEvent::Looked { rows, asked }, scheduler);
    }

    pub(super) fn looked(
        &mut self,
        rows: Option<Vec<LifeRow>>,
        asked: Mono,
        wall: Wall,
        around: &mut Around<'_>,
    ) {
        let answered = self.mono(around.scheduler.now);
        let Some(watch) = &mut self.watch else { return };
        let Some(rows) = rows else { return watch.failed() };
        let look = watch.look(&rows, asked, answered);
        // Whoever stops takes nothing over.
        let is_free = self.take_over.is_none() && !self.driver.is_stopping();
        if let Some(suspect) = look.suspects.first().filter(|_| is_free) {
            around.scheduler.note(|| format!("life {} suspects {suspect:?}", self.life));
            around.scheduler.saw(Together::Suspected);
            let share = look.share(incarnation(self.life));
            self.take_over = Some(TakeOver::new(suspect, share));
            self.goes_on_taking_over(wall, around);
        }
    }

    /// Does the next step of the take-over.
    fn goes_on_taking_over(&mut self, wall: Wall, around: &mut Around<'_>) {
        let Some(take_over) = &self.take_over else { return };
        let (dead, step) = (take_over.dead(), take_over.step());
        match step {
            None => self.take_over = None,
            Some(TakeOverStep::Take { gids }) => {
                self.writer.take_over(dead, gids);
                let now = self.now(wall, around.scheduler);
                self.write(now, around);
            }
            Some(step) => {
                let wait = around.scheduler.rng.mostly_small(around.scheduler.plan.journal.commit);
                self.after(wait, NodeEvent::TakeOver(step), around.scheduler);
            }
        }
    }

    /// The database does a step of the take-over, in a transaction of its own.
    pub(super) fn database_takes_over(
        &mut self,
        step: TakeOverStep,
        reach: Reach,
        around: &mut Around<'_>,
    ) {
        let Some(dead) = self.take_over.as_ref().map(TakeOver::dead) else { return };
        let Around { scheduler, rows, oracle, .. } = around;
        let failed = match step {
            TakeOverStep::Find { .. } => reach == Reach::Nothing,
            TakeOverStep::Mark { .. } | TakeOverStep::Take { .. } | TakeOverStep::Remove => {
                reach != Reach::All
            }
        };
        let mut answer = match step {
            _ if failed => TakeOverAnswer::Failed,
            TakeOverStep::Mark { batch_no } => {
                let row = rows.lives.get(dead).cloned();
                let marked = rows.lives.mark_fenced(dead, batch_no);
                oracle.lives.marked(self.life, row.as_ref(), batch_no, marked, scheduler);
                TakeOverAnswer::Marked(marked)
            }
            TakeOverStep::Find { undecided, after } => {
                let limit = scheduler.plan.page;
                TakeOverAnswer::Found(rows.owned_by(dead, undecided, after.as_ref(), limit))
            }
            // It is the writer's.
            TakeOverStep::Take { .. } => TakeOverAnswer::Failed,
            TakeOverStep::Remove => {
                let removed = rows.remove(dead);
                scheduler.saw(match removed {
                    true => Together::RowRemoved,
                    false => Together::RowStays,
                });
                TakeOverAnswer::Removed(removed)
            }
        };
        if scheduler.fault(scheduler.plan.journal.fail_after, Mishap::CommitFailsAfter) {
            // Nobody knows.
            answer = TakeOverAnswer::Failed;
        }
        self.dies_taking_over(scheduler);
        let wait = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
        self.after(wait, NodeEvent::TakeOverAnswered(answer), scheduler);
    }

    pub(super) fn take_over_answered(
        &mut self,
        answer: TakeOverAnswer,
        wall: Wall,
        around: &mut Around<'_>,
    ) {
        if let Some(take_over) = &mut self.take_over {
            take_over.answered(answer);
            self.goes_on_taking_over(wall, around);
        }
    }

    /// The journal has said what became of a chunk: the take-over goes on.
    pub(super) fn chunk_is_durable(&mut self, event: &JournalEvent, scheduler: &mut Scheduler) {
        let JournalEvent::TakenOver { gids, .. } = event else { return };
        scheduler.saw(if gids.is_empty() { Together::ChunkOfNothing } else { Together::Chunk });
        self.dies_taking_over(scheduler);
        self.after(0, NodeEvent::TakeOverAnswered(TakeOverAnswer::Taken), scheduler);
    }

    fn dies_taking_over(&self, scheduler: &mut Scheduler) {
        if scheduler.fault(scheduler.plan.cluster.die_taking_over, Together::DiesTakingOver) {
            let node = self.node;
            scheduler.after(0, ScheduledEvent::Fault(Fault::NodeDies { node }));
        }
    }

    /// What is under way when its process freezes may be on its way to the database, which goes on.
    pub(super) fn freezes_at_a_commit(&self, scheduler: &mut Scheduler) {
        if let Some(submitted) = self.writer.under_way()
            && scheduler.rng.one_in(2)
        {
            scheduler.saw(Together::FrozenAtACommit);
            let (life, submitted) = (self.life, submitted.clone());
            let wait = scheduler.rng.mostly_small(2_000);
            scheduler.after(wait, ScheduledEvent::Orphan { life, submitted });
        }
    }

    /// A life is fenced only if its row says so, or is gone.
    pub(super) fn is_fenced_for_cause(
        &self,
        submitted: &Submitted,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        let row = rows.lives.get(incarnation(self.life));
        let may_write = row.is_some_and(|row| {
            row.state == LifeState::Live && [0, 1].contains(&(submitted.number() - row.batch_no))
        });
        if row.is_some_and(|row| row.state == LifeState::Left) {
            scheduler.broke(format!("life {} has left before all was written", self.life));
        }
        if may_write {
            scheduler.broke(format!("life {} was fenced without cause", self.life));
        }
        if row.is_some_and(|row| row.batch_no >= submitted.number()) {
            scheduler.saw(Together::FencedAfterItHappened);
        }
    }
}
