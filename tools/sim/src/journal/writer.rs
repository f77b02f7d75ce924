//! The writer of one life, as the real one works: it takes all that waits, up to a cap, submits
//! it until it is known to have happened, and says so; what the database rejects is halved until
//! the culprit is found and quarantined.

use std::collections::{BTreeSet, VecDeque};

use tercet_engine::Record;
use tercet_wire::{Backoff, Gid, Instance, Seq};

use crate::coverage::{Mishap, Sometimes};
use crate::journal::{Batch, Changed, CommitError, Rows};
use crate::scheduled_event::ScheduledEvent;
use crate::scheduler::Scheduler;

/// What the writer tells the coordinator.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Durable(Seq),
    Exists(Gid),
    Quarantined(Gid),
    Failing,
    Healed,
    Fenced,
}

/// The writer of one life.
#[derive(Debug)]
pub(crate) struct Writer {
    life: u64,
    waiting: VecDeque<Record>,
    /// What is left of the batch that was cut last, the next part last.
    parts: Vec<Part>,
    under_way: Option<(Batch, Seq)>,
    left_out: BTreeSet<(Gid, Instance)>,
    /// Of the last batch known to be durable.
    number: u64,
    failures: u32,
    /// Whether the present batch has happened although it was reported failed.
    happened: bool,
}

/// Consecutive records on their way into the database.
#[derive(Debug)]
struct Part {
    records: Vec<Record>,
    /// Once they are durable or left out, everything up to here is.
    covers: Seq,
}

impl Writer {
    pub(crate) fn new(life: u64) -> Self {
        Self {
            life,
            waiting: VecDeque::new(),
            parts: Vec::new(),
            under_way: None,
            left_out: BTreeSet::new(),
            number: 0,
            failures: 0,
            happened: false,
        }
    }

    pub(crate) fn append(&mut self, records: Vec<Record>, scheduler: &mut Scheduler) -> Vec<Said> {
        self.waiting.extend(records);
        if self.under_way.is_some() { Vec::new() } else { self.go_on(scheduler) }
    }

    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The submission that is under way, if one is: a crash leaves it to chance.
    pub(crate) fn under_way(&self) -> Option<&Batch> {
        self.under_way.as_ref().map(|(batch, _)| batch)
    }

    pub(crate) fn has_happened_untold(&self) -> bool {
        self.happened
    }

    /// The submission under way reaches the database.
    pub(crate) fn submitted(
        &mut self,
        rows: &mut Rows,
        full: bool,
        scheduler: &mut Scheduler,
    ) -> (Vec<Changed>, Vec<Said>) {
        let Some((batch, covers)) = self.under_way.take() else { return Default::default() };
        let plan = scheduler.plan.journal.clone();
        if full || scheduler.fault(plan.fail_before, Mishap::CommitFailsBefore) {
            return (Vec::new(), self.failed(batch, covers, scheduler));
        }
        match rows.commit(self.life, &batch) {
            Err(CommitError::Fenced) => (Vec::new(), vec![Said::Fenced]),
            Err(CommitError::ApplyError(misfit)) => {
                scheduler.broke(format!("a record does not fit the rows: {misfit}"));
                (Vec::new(), vec![Said::Fenced])
            }
            Err(CommitError::Rejected) => {
                let mut said = self.rejected(batch, covers, scheduler);
                said.extend(self.go_on(scheduler));
                (Vec::new(), said)
            }
            Ok((changed, _)) if scheduler.fault(plan.fail_after, Mishap::CommitFailsAfter) => {
                self.happened = true;
                (changed, self.failed(batch, covers, scheduler))
            }
            Ok((changed, taken)) => {
                if self.happened {
                    scheduler.saw(Sometimes::ResubmittedAfterItHappened);
                }
                let mut said = self.is_heard_again();
                self.number = batch.number;
                for life in taken {
                    scheduler.saw(Sometimes::GidTaken);
                    said.push(Said::Exists(life.0.clone()));
                    self.left_out.insert(life);
                }
                said.push(Said::Durable(covers));
                said.extend(self.go_on(scheduler));
                (changed, said)
            }
        }
    }

    fn failed(&mut self, batch: Batch, covers: Seq, scheduler: &mut Scheduler) -> Vec<Said> {
        self.failures += 1;
        self.under_way = Some((batch, covers));
        let pause = Backoff::default().pause(self.failures.min(5), scheduler.rng.next(), None);
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        scheduler.after(pause, ScheduledEvent::Submission { life: self.life });
        if self.failures == 1 { vec![Said::Failing] } else { Vec::new() }
    }

    fn rejected(&mut self, batch: Batch, covers: Seq, scheduler: &mut Scheduler) -> Vec<Said> {
        scheduler.saw(Sometimes::Rejected);
        let mut said = self.is_heard_again();
        let mut records = batch.records;
        let of_one = |record: &Record| (record.gid.clone(), record.instance);
        let first = records.first().map(of_one);
        if records.iter().map(of_one).all(|life| Some(life) == first) {
            if let Some((gid, instance)) = first {
                said.push(Said::Quarantined(gid.clone()));
                self.left_out.insert((gid, instance));
            }
            said.push(Said::Durable(covers));
            return said;
        }
        scheduler.saw(Sometimes::Bisected);
        let second = records.split_off(records.len() / 2);
        self.parts.push(Part { records: second, covers });
        if let Some(last) = records.last() {
            self.parts.push(Part { covers: last.seq, records });
        }
        said
    }

    fn is_heard_again(&mut self) -> Vec<Said> {
        self.happened = false;
        let failed = std::mem::take(&mut self.failures) > 0;
        if failed { vec![Said::Healed] } else { Vec::new() }
    }

    /// Submits what comes next, if anything waits.
    fn go_on(&mut self, scheduler: &mut Scheduler) -> Vec<Said> {
        let mut said = Vec::new();
        loop {
            let Some(mut part) = self.parts.pop().or_else(|| self.cut(scheduler)) else {
                return said;
            };
            part.records
                .retain(|record| !self.left_out.contains(&(record.gid.clone(), record.instance)));
            if part.records.is_empty() {
                said.push(Said::Durable(part.covers));
                continue;
            }
            let batch = Batch { number: self.number + 1, records: part.records };
            self.under_way = Some((batch, part.covers));
            let plan = scheduler.plan.journal.clone();
            let stalls = scheduler.fault(plan.stall, Mishap::CommitStalls);
            let wait = if stalls { 20_000 } else { plan.commit };
            let wait = scheduler.rng.below(wait + 1);
            scheduler.after(wait, ScheduledEvent::Submission { life: self.life });
            return said;
        }
    }

    fn cut(&mut self, scheduler: &Scheduler) -> Option<Part> {
        let count = scheduler.plan.journal.batch.min(self.waiting.len());
        let records: Vec<Record> = self.waiting.drain(..count).collect();
        let covers = records.last()?.seq;
        Some(Part { records, covers })
    }
}
