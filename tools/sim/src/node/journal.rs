//! The journal's writer and reader: the real group commit, over rows in memory and with the
//! faults of a database.

use tercet_engine::{Backlog, Batch, Committed, JournalEvent, Load};
use tercet_wire::{Gid, Now};

use crate::coverage::{Mishap, Sometimes};
use crate::node::{Around, Node, Running};
use crate::rows::{Changed, CommitError, Rows};
use crate::scheduled_event::ScheduledEvent;
use crate::scheduler::Scheduler;

impl Running {
    /// The journal gets all records of a round in one piece.
    pub(super) fn flush(&mut self, now: Now, around: &mut Around<'_>) {
        if let Some((records, urgency)) = self.driver.flush() {
            around.oracle.journal.appended(&records, around.scheduler);
            self.unwritten = self.unwritten.and(Backlog::of(&records));
            self.writer.append(records, urgency);
            self.write(now, around);
        }
    }

    /// Whatever the writer has to do now.
    fn write(&mut self, now: Now, around: &mut Around<'_>) {
        let scheduler = &mut *around.scheduler;
        if let Some(batch) = self.writer.submit(now) {
            around.oracle.journal.submitted(batch, scheduler);
            let plan = &scheduler.plan.journal;
            let (usual, stall) = (plan.commit, plan.stall);
            let wait = match scheduler.fault(stall, Mishap::CommitStalls) {
                true => 20_000,
                false => usual,
            };
            let wait = scheduler.rng.below(wait + 1);
            scheduler.after(wait, ScheduledEvent::Submission { life: self.life });
        }
        around.oracle.journal.writer_waits(&self.writer, self.awake_since, scheduler);
        let settled = self.writer.take_settled();
        self.unwritten.records -= settled.records;
        self.unwritten.bytes -= settled.bytes;
        while let Some(event) = self.writer.take_event() {
            around.oracle.journal.told(&event, scheduler);
            self.driver.journal(event);
        }
        // Where all is done, signs of life alone do not keep the world from coming to rest.
        let rests = scheduler.healed && self.writer.is_idle();
        if let Some(due) = self.writer.next_deadline().filter(|_| !rests) {
            let (at, life) = (self.at(due), self.life);
            if self.writer_at.is_none_or(|planned| at < planned || planned <= scheduler.now) {
                self.writer_at = Some(at);
                scheduler.at(at, ScheduledEvent::WriterDue { life });
            }
        }
    }

    /// What the database makes of the batch under way.
    fn commit(
        &mut self,
        batch: &Batch,
        rows: &mut Rows,
        full: bool,
        scheduler: &mut Scheduler,
    ) -> (Vec<Changed>, Committed) {
        let (before, after) =
            (scheduler.plan.journal.fail_before, scheduler.plan.journal.fail_after);
        let again = |why: &str| Committed::Again { why: why.to_owned() };
        if full || scheduler.fault(before, Mishap::CommitFailsBefore) {
            return (Vec::new(), again("it did not happen"));
        }
        match rows.commit(self.life, batch) {
            Err(CommitError::Fenced) => (Vec::new(), Committed::Fenced),
            Err(CommitError::ApplyError(misfit)) => {
                scheduler.broke(format!("a record does not fit the rows: {misfit}"));
                (Vec::new(), Committed::Fenced)
            }
            Err(CommitError::Rejected) => {
                scheduler.saw(Sometimes::Rejected);
                (Vec::new(), Committed::Rejected)
            }
            Ok((changed, _)) if scheduler.fault(after, Mishap::CommitFailsAfter) => {
                self.happened = true;
                (changed, again("nobody knows"))
            }
            Ok((changed, taken)) => {
                if std::mem::take(&mut self.happened) {
                    scheduler.saw(Sometimes::ResubmittedAfterItHappened);
                }
                if !taken.is_empty() {
                    scheduler.saw(Sometimes::GidTaken);
                }
                (changed, Committed::Durable { taken })
            }
        }
    }
}

impl Node {
    /// A submission reaches the database.
    pub(crate) fn submitted(&mut self, life: u64, around: &mut Around<'_>) {
        let wall = self.wall(around.scheduler);
        let full = around.scheduler.now < self.disk_full_until && !around.scheduler.healed;
        let Some(running) = self.of_life(life) else { return };
        let Some(batch) = running.writer.under_way().cloned() else {
            return around.scheduler.broke("the writer forgot the batch under way");
        };
        let now = running.now(wall, around.scheduler);
        let (changed, result) = running.commit(&batch, around.rows, full, around.scheduler);
        around.oracle.journal.answered(&batch, &result);
        let rejected = result == Committed::Rejected;
        let quarantined = running.writer.committed(result, now);
        if rejected && quarantined.is_none() {
            around.scheduler.saw(Sometimes::Bisected);
        }
        running.write(now, around);
        if !changed.is_empty() {
            self.last_written = Some(wall);
        }
        for changed in changed {
            around.oracle.written(&changed, around.scheduler);
        }
        self.close_if_over(around);
        let delay = around.scheduler.rng.below(2);
        self.wake(delay, around.scheduler);
    }

    /// Something the writer waited for is due: a batch to be submitted again, what lingered, a
    /// sign of life.
    pub(crate) fn writer_due(&mut self, life: u64, around: &mut Around<'_>) {
        let wall = self.wall(around.scheduler);
        let Some(running) = self.of_life(life) else { return };
        // An earlier look took this one's place.
        if running.writer_at.is_some_and(|at| at <= around.scheduler.now) {
            running.writer_at = None;
            let now = running.now(wall, around.scheduler);
            running.write(now, around);
            self.wake(0, around.scheduler);
        }
        self.close_if_over(around);
    }

    /// The database reads what was asked for.
    pub(crate) fn loads(&mut self, life: u64, gids: Vec<Gid>, around: &mut Around<'_>) {
        let fails =
            around.scheduler.fault(around.scheduler.plan.journal.load_fails, Mishap::LoadFails);
        let read = gids.into_iter().map(|gid| {
            let load = if fails { Load::Failed } else { around.rows.load(&gid) };
            JournalEvent::Loaded(gid, load)
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
        self.is_read(life, vec![JournalEvent::PageOfGids(page)], around.scheduler);
    }

    /// What was read is told in the order it was asked for, and may be old by then.
    fn is_read(&mut self, life: u64, read: Vec<JournalEvent>, scheduler: &mut Scheduler) {
        let Some(running) = self.of_life(life) else { return };
        let takes = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
        running.reads_until = running.reads_until.max(scheduler.now + takes);
        scheduler.at(running.reads_until, ScheduledEvent::Read { life, read });
    }

    /// What was read reaches the coordinator.
    pub(crate) fn has_read(
        &mut self,
        life: u64,
        read: Vec<JournalEvent>,
        scheduler: &mut Scheduler,
    ) {
        let Some(running) = self.of_life(life) else { return };
        read.into_iter().for_each(|event| running.driver.journal(event));
        self.wake(0, scheduler);
    }
}
