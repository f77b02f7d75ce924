//! What the journal is given and says of it: records come in order, a batch whose outcome nobody
//! knows is submitted again as it was, nothing is told durable before it is, and nothing is held
//! back for long.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{Committed, GroupCommit, JournalEvent, Record, Submitted, TransactionKey};
use tercet_wire::Seq;

use crate::coverage::Sometimes;
use crate::scheduler::Scheduler;

/// What this life's journal was given.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    last: Seq,
    /// Appended, and not known to be written.
    pending: BTreeMap<Seq, TransactionKey>,
    /// Lives whose records are left out.
    left_out: BTreeSet<TransactionKey>,
    /// A batch whose outcome nobody knows.
    unknown: Option<Submitted>,
    /// Since when nothing is written although something waits.
    held_back_since: Option<u64>,
}

impl Journal {
    pub(crate) fn appended(&mut self, records: &[Record], scheduler: &mut Scheduler) {
        for record in records {
            if record.seq.0 != self.last.0 + 1 {
                let (seq, last) = (record.seq.0, self.last.0);
                scheduler.broke(format!("record {seq} was appended after record {last}"));
            }
            self.last = record.seq;
            self.pending.insert(record.seq, TransactionKey::of(record));
        }
    }

    pub(crate) fn submitted(&mut self, submitted: &Submitted, scheduler: &mut Scheduler) {
        if submitted.is_sign_of_life() {
            scheduler.saw(Sometimes::SignOfLife);
        }
        match self.unknown.take() {
            Some(unknown) if unknown == *submitted => scheduler.saw(Sometimes::Resubmitted),
            Some(unknown) => {
                let number = unknown.number();
                scheduler.broke(format!("batch {number} was not submitted again as it was"));
            }
            None => {}
        }
    }

    pub(crate) fn answered(&mut self, submitted: &Submitted, result: &Committed) {
        match result {
            Committed::Durable { taken } => {
                for record in submitted.records() {
                    if !taken.contains(&TransactionKey::of(record)) {
                        self.pending.remove(&record.seq);
                    }
                }
            }
            Committed::Again { .. } => self.unknown = Some(submitted.clone()),
            Committed::TakenOver { .. } | Committed::Rejected | Committed::Fenced => {}
        }
    }

    pub(crate) fn told(&mut self, event: &JournalEvent, scheduler: &mut Scheduler) {
        match event {
            JournalEvent::Exists(gid) | JournalEvent::Quarantined(gid) => {
                let lives = self.pending.values().filter(|life| life.gid == *gid);
                self.left_out.extend(lives.cloned());
            }
            JournalEvent::Durable(seq) => {
                let later = self.pending.split_off(&Seq(seq.0 + 1));
                if let Some(life) = self.lost() {
                    scheduler.broke(format!("not all of {} is durable as told", life.gid));
                }
                self.pending = later;
            }
            JournalEvent::TakingOver { .. }
            | JournalEvent::TakenOver { .. }
            | JournalEvent::Loaded(..)
            | JournalEvent::PageOfGids(_)
            | JournalEvent::Failing { .. }
            | JournalEvent::Healed
            | JournalEvent::Fenced => {}
        }
    }

    /// The writer was looked after: does it hold back what it could write?
    pub(crate) fn writer_waits(
        &mut self,
        writer: &GroupCommit,
        awake_since: u64,
        scheduler: &mut Scheduler,
    ) {
        if writer.is_idle() || writer.under_way().is_some() {
            if self.held_back_since.take().is_some() {
                scheduler.saw(Sometimes::Lingered);
            }
            return;
        }
        let since = (*self.held_back_since.get_or_insert(scheduler.now)).max(awake_since);
        // A millisecond more: of one that has been frozen the clocks are looked at one after the other.
        if scheduler.now.saturating_sub(since) > scheduler.plan.journal.linger + 1 {
            scheduler.broke("what nobody waits for was held back for too long");
        }
    }

    /// The journal was closed in order.
    pub(crate) fn closed(&self, scheduler: &mut Scheduler) {
        if let Some(life) = self.lost() {
            scheduler.broke(format!("it closed, and not all of {} was written", life.gid));
        }
    }

    /// A life of which something is pending that is not left out.
    fn lost(&self) -> Option<&TransactionKey> {
        self.pending.values().find(|life| !self.left_out.contains(life))
    }
}
