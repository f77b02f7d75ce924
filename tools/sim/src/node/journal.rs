//! The journal's writer and reader: the real group commit, over rows in memory and with the
//! faults of a database.

use tercet_engine::{Backlog, Committed, JournalEvent, Load, Submitted};
use tercet_wire::{Gid, Now, Wall};

use crate::coverage::{Mishap, Sometimes, Together};
use crate::node::{Around, Reach, Running};
use crate::rows::{self, CommitError, Rows};
use crate::scheduled_event::NodeEvent;
use crate::scheduler::Scheduler;

impl Running {
    /// The journal gets all records of a round in one piece.
    pub(super) fn flush(&mut self, now: Now, around: &mut Around<'_>) {
        if let Some((mut records, urgency)) = self.driver.flush() {
            self.steady(now);
            records.iter_mut().for_each(|record| record.date_end(&self.steady, now.mono));
            around.oracle.of(self.node).journal.appended(&records, around.scheduler);
            self.unwritten = self.unwritten.and(Backlog::of(&records));
            self.writer.append(records, urgency);
            self.write(now, around);
        }
    }

    /// Whatever the writer has to do now.
    pub(super) fn write(&mut self, now: Now, around: &mut Around<'_>) {
        let scheduler = &mut *around.scheduler;
        let of_journal = &mut around.oracle.of(self.node).journal;
        if let Some(submitted) = self.writer.submit(now) {
            of_journal.submitted(submitted, scheduler);
            let plan = &scheduler.plan.journal;
            let (usual, stall) = (plan.commit, plan.stall);
            let wait = match scheduler.fault(stall, Mishap::CommitStalls) {
                true => 20_000,
                false => usual,
            };
            let wait = scheduler.rng.below(wait + 1);
            self.after(wait, NodeEvent::Submission, scheduler);
        }
        of_journal.writer_waits(&self.writer, self.awake_since, scheduler);
        let settled = self.writer.take_settled();
        self.unwritten.records -= settled.records;
        self.unwritten.bytes -= settled.bytes;
        while let Some(event) = self.writer.take_event() {
            of_journal.told(&event, scheduler);
            self.chunk_is_durable(&event, scheduler);
            self.driver.journal(event);
        }
        // Where all is done, signs of life alone do not keep the world from coming to rest.
        let nobody_watches = !scheduler.is_cluster() || scheduler.settled;
        let rests = scheduler.healed && nobody_watches && self.writer.is_idle();
        if let Some(due) = self.writer.next_deadline().filter(|_| !rests) {
            let at = self.at(due);
            if self.writer_at.is_none_or(|planned| at < planned || planned <= scheduler.now) {
                self.writer_at = Some(at);
                let wait = at.saturating_sub(scheduler.now);
                self.after(wait, NodeEvent::WriterDue, scheduler);
            }
        }
    }

    /// What the database makes of the batch under way.
    fn commit(
        &mut self,
        submitted: &Submitted,
        rows: &mut Rows,
        reach: Reach,
        scheduler: &mut Scheduler,
    ) -> (Option<rows::Committed>, Committed) {
        let (before, after) =
            (scheduler.plan.journal.fail_before, scheduler.plan.journal.fail_after);
        let again = |why: &str| Committed::Again { why: why.to_owned() };
        if reach != Reach::All || scheduler.fault(before, Mishap::CommitFailsBefore) {
            return (None, again("it did not happen"));
        }
        let stale = scheduler.is_cluster()
            && scheduler.fault(scheduler.plan.cluster.stale_looks, Together::StaleLook);
        match rows.commit(self.life, submitted, stale) {
            Err(CommitError::Fenced) => {
                self.is_fenced_for_cause(submitted, rows, scheduler);
                (None, Committed::Fenced)
            }
            Err(CommitError::Again) => {
                scheduler.saw(Together::LookedTooEarly);
                (None, again("the look was older than the fence"))
            }
            Err(CommitError::ApplyError(misfit)) => {
                scheduler.broke(format!("a record does not fit the rows: {misfit}"));
                (None, Committed::Fenced)
            }
            Err(CommitError::Rejected) => {
                scheduler.saw(Sometimes::Rejected);
                (None, Committed::Rejected)
            }
            Ok(committed) if scheduler.fault(after, Mishap::CommitFailsAfter) => {
                self.happened = true;
                (Some(committed), again("nobody knows"))
            }
            Ok(committed) => {
                if std::mem::take(&mut self.happened) {
                    scheduler.saw(Sometimes::ResubmittedAfterItHappened);
                }
                if !committed.taken.is_empty() {
                    scheduler.saw(Sometimes::GidTaken);
                }
                let result = match submitted {
                    Submitted::Chunk(_) => Committed::TakenOver { gids: committed.gids.clone() },
                    Submitted::Batch(_) | Submitted::Leave(_) => {
                        Committed::Durable { taken: committed.taken.clone() }
                    }
                };
                (Some(committed), result)
            }
        }
    }

    /// A submission reaches the database. If it changed anything, with which date.
    pub(super) fn submitted(
        &mut self,
        wall: Wall,
        reach: Reach,
        around: &mut Around<'_>,
    ) -> Option<Wall> {
        let now = self.now(wall, around.scheduler);
        let Some(submitted) = self.writer.under_way().cloned() else {
            around.scheduler.broke("the writer forgot the batch under way");
            return None;
        };
        let (committed, result) = self.commit(&submitted, around.rows, reach, around.scheduler);
        around.oracle.of(self.node).journal.answered(&submitted, &result);
        let rejected = result == Committed::Rejected;
        if self.writer.committed(result, now).is_none() && rejected {
            around.scheduler.saw(Sometimes::Bisected);
        }
        self.write(now, around);
        if let Some(committed) = &committed {
            let Around { scheduler, initiators, oracle, .. } = around;
            oracle.committed(self.life, &submitted, committed, initiators, scheduler);
        }
        let date = self.steady(now);
        self.sweep(date, around);
        let changed = committed.is_some_and(|committed| !committed.changed.is_empty());
        changed.then_some(date.wall)
    }

    /// Something the writer waited for is due: a batch to be submitted again, what lingered, a
    /// sign of life.
    pub(super) fn writer_due(&mut self, wall: Wall, around: &mut Around<'_>) {
        // An earlier look may have taken this one's place.
        if self.writer_at.take_if(|at| *at <= around.scheduler.now).is_some() {
            let now = self.now(wall, around.scheduler);
            self.write(now, around);
        }
    }

    /// The database reads what was asked for.
    pub(super) fn loads(&mut self, gids: Vec<Gid>, reach: Reach, around: &mut Around<'_>) {
        let scheduler = &mut *around.scheduler;
        let fails = reach == Reach::Nothing
            || scheduler.fault(scheduler.plan.journal.load_fails, Mishap::LoadFails);
        let read = gids.into_iter().map(|gid| {
            let load = if fails { Load::Failed } else { around.rows.load(self.life, &gid) };
            JournalEvent::Loaded(gid, load)
        });
        let read = read.collect();
        if scheduler.fault(scheduler.plan.journal.load_late, Mishap::LoadLate) {
            // Whoever asked is told something else by then, and may have asked again.
            let most =
                u64::try_from(scheduler.plan.request_timeout.as_millis()).unwrap_or(u64::MAX);
            let late = scheduler.rng.between(1, most.saturating_mul(3));
            return self.after(late, NodeEvent::Read(read), scheduler);
        }
        self.is_read(read, scheduler);
    }

    /// The database reads which transactions rest.
    pub(super) fn page_requests(
        &mut self,
        after: Option<Gid>,
        reach: Reach,
        around: &mut Around<'_>,
    ) {
        if reach == Reach::Nothing {
            // The reader asks until it is answered.
            return self.after(500, NodeEvent::PageRequest(after), around.scheduler);
        }
        around.scheduler.saw(Sometimes::PageOfGids);
        let limit = around.scheduler.plan.page;
        let page = around.rows.decided_unfinished(self.life, after.as_ref(), limit);
        self.is_read(vec![JournalEvent::PageOfGids(page)], around.scheduler);
    }

    /// What was read is told in the order it was asked for, and may be old by then.
    fn is_read(&mut self, read: Vec<JournalEvent>, scheduler: &mut Scheduler) {
        let takes = scheduler.rng.mostly_small(scheduler.plan.journal.commit);
        self.reads_until = self.reads_until.max(scheduler.now + takes);
        let wait = self.reads_until - scheduler.now;
        self.after(wait, NodeEvent::Read(read), scheduler);
    }
}
