//! What the journal's writer decides, without writing: records become durable in their order,
//! many at a time, each once, whatever the database answers.
//!
//! ```text
//!  append(records, urgency) ──▶ waiting ──▶ lingers? ──▶ cut ──▶ parts ──▶ submit() ──▶ the store
//!                                                                ▲  ▲                     │
//!                                          rejected: in halves ──┘  │                     │
//!                                          failed, or nobody knows: the same batch, later │
//!  take_event() ◀── Exists, Quarantined, Durable, … ◀──────────── committed(result) ◀─────┘
//! ```
//!
//! The journal's thread drives this with a database and a clock, the simulation with rows in
//! memory and virtual time. Time is an argument, and what is to be done later is a deadline.

mod backlog;
mod batch;
mod left_out;
mod submission;

use std::collections::VecDeque;
use std::time::Duration;

use tercet_wire::{Backoff, Mono, Now, Seq};

pub use backlog::Backlog;
use batch::cut;
pub use batch::{Batch, Caps, Weight};
use left_out::LeftOut;
pub use left_out::TransactionKey;
use submission::{Part, Submission};

use crate::journal_event::{JournalEvent, Urgency};
use crate::record::Record;

/// The numbers the writer goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCommitSettings {
    /// How much a batch may hold.
    pub caps: Caps,
    /// How long what nobody waits for may wait for what somebody does.
    pub linger: Duration,
    /// The pauses before a batch that failed is submitted again.
    pub resubmit: Backoff,
    /// How long nothing is written at most: then an empty batch is the sign of life.
    pub longest_silence: Duration,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// Each of its records is durable, but for those of the lives named here, whose gid belongs
    /// to another.
    Durable {
        /// Those lives.
        taken: Vec<TransactionKey>,
    },
    /// It failed, or nobody knows.
    Again {
        /// What the database said.
        why: String,
    },
    /// It did not happen and never will as it is: its data is at fault.
    Rejected,
    /// Another incarnation writes in this one's place.
    Fenced,
}

/// The writer's decisions.
#[derive(Debug, Clone)]
pub struct GroupCommit {
    settings: GroupCommitSettings,
    waiting: VecDeque<Record>,
    /// Somebody waits for some of what waits.
    awaited: bool,
    /// When what nobody waits for is written all the same; none unless it is held back.
    lingers_until: Option<Mono>,
    /// What is left of the batch that was cut last, the next part last.
    parts: Vec<Part>,
    /// How much was cut.
    cut: Backlog,
    under_way: Option<Submission>,
    left_out: LeftOut,
    /// Of the last batch known to be durable.
    number: i64,
    /// Failures in a row of the batch under way.
    failures: u32,
    /// When the next sign of life is due.
    silent_until: Mono,
    events: VecDeque<JournalEvent>,
    /// Settled since it was last asked for.
    settled: Backlog,
    closing: bool,
    fenced: bool,
}

impl GroupCommit {
    /// A writer that has written nothing yet.
    #[must_use]
    pub fn new(settings: GroupCommitSettings, now: Mono) -> Self {
        Self {
            settings,
            waiting: VecDeque::new(),
            awaited: false,
            lingers_until: None,
            parts: Vec::new(),
            cut: Backlog::default(),
            under_way: None,
            left_out: LeftOut::default(),
            number: 0,
            failures: 0,
            silent_until: now.after(settings.longest_silence),
            events: VecDeque::new(),
            settled: Backlog::default(),
            closing: false,
            fenced: false,
        }
    }

    /// Takes records in, after all appended before. Without records, it presses for those.
    pub fn append(&mut self, records: Vec<Record>, urgency: Urgency) {
        self.waiting.extend(records);
        self.awaited |= urgency == Urgency::Now && !self.waiting.is_empty();
    }

    /// What waits is written at once, and then it is over.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The batch that is to be submitted now, if one is. It is under way until
    /// [`GroupCommit::committed`] says what became of it.
    pub fn submit(&mut self, now: Now) -> Option<&Batch> {
        if self.under_way.is_none() {
            self.under_way = self.next_submission(now);
        }
        self.under_way.as_mut()?.sent(now.mono)
    }

    /// The submission under way was answered. Returns the life that is quarantined for it, if
    /// one is.
    pub fn committed(&mut self, result: Committed, now: Now) -> Option<TransactionKey> {
        let submission = self.under_way.take()?;
        if let Committed::Again { why } = result {
            self.failed(submission, why, now);
            return None;
        }
        if std::mem::take(&mut self.failures) > 0 {
            self.events.push_back(JournalEvent::Healed);
        }
        match result {
            Committed::Durable { taken } => self.durable(submission, taken, now.mono),
            Committed::Rejected => return self.rejected(submission, now.mono),
            Committed::Fenced => {
                self.fenced = true;
                self.events.push_back(JournalEvent::Fenced);
            }
            Committed::Again { .. } => {}
        }
        None
    }

    /// Has a sign of life written now, if nothing else is: something may be wrong.
    pub fn press_sign_of_life(&mut self, now: Mono) {
        self.silent_until = self.silent_until.min(now);
    }

    /// What the runtime is to be told next.
    pub fn take_event(&mut self) -> Option<JournalEvent> {
        self.events.pop_front()
    }

    /// How much was settled since this was last asked: written, or left out for good. To be
    /// asked before the events are told, so that who hears of it finds the room that it took.
    pub fn take_settled(&mut self) -> Backlog {
        std::mem::take(&mut self.settled)
    }

    /// When [`GroupCommit::submit`] has something although nothing is appended or committed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        if self.fenced {
            return None;
        }
        match &self.under_way {
            Some(submission) => submission.due(),
            None if self.waiting.is_empty() => (!self.closing).then_some(self.silent_until),
            None => self.lingers_until,
        }
    }

    /// Whether nothing waits to be written and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_between_batches() && self.waiting.is_empty()
    }

    /// Whether all that was cut last is settled, and nothing is under way.
    #[must_use]
    pub fn is_between_batches(&self) -> bool {
        self.under_way.is_none() && self.parts.is_empty()
    }

    /// Whether nothing more will be written: it was fenced, or closed and all is written. A sign
    /// of life that fails keeps nobody.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let under_way = self.under_way.as_ref().is_some_and(|it| !it.batch().records.is_empty());
        let left = under_way || !self.parts.is_empty() || !self.waiting.is_empty();
        self.fenced || (self.closing && !left)
    }

    /// Records that wait to be cut.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The batch under way, whether the store has it or it is to be submitted again.
    #[must_use]
    pub fn under_way(&self) -> Option<&Batch> {
        self.under_way.as_ref().map(Submission::batch)
    }

    fn next_submission(&mut self, now: Now) -> Option<Submission> {
        if self.fenced {
            return None;
        }
        let number = self.number + 1;
        while let Some(mut part) = self.parts.pop().or_else(|| self.cut(now.mono)) {
            part.records.retain(|record| !self.left_out.covers(record));
            if !part.records.is_empty() {
                return Some(Submission::of(part, number, now));
            }
            self.settle(part.covers);
        }
        // What lingers is written soon enough to be a sign of life itself.
        let silent = self.is_idle() && now.mono >= self.silent_until && !self.closing;
        silent.then(|| Submission::sign_of_life(number, now))
    }

    /// Cuts a batch off what waits, unless it lingers.
    fn cut(&mut self, now: Mono) -> Option<Part> {
        if self.waiting.is_empty() || self.lingers(now) {
            return None;
        }
        let (records, size) = cut(&mut self.waiting, self.settings.caps);
        self.cut = size;
        self.awaited &= !self.waiting.is_empty();
        self.lingers_until = None;
        let covers = records.last()?.seq;
        Some(Part { records, covers })
    }

    /// Whether what waits is held back: nobody waits for it, and it has not waited for long.
    fn lingers(&mut self, now: Mono) -> bool {
        let full = self.waiting.len() >= self.settings.caps.records;
        if self.awaited || self.closing || full {
            return false;
        }
        let until = self.lingers_until.get_or_insert(now.after(self.settings.linger));
        now < *until
    }

    fn failed(&mut self, mut submission: Submission, why: String, now: Now) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            self.events.push_back(JournalEvent::Failing { why });
        }
        let pause = self.settings.resubmit.pause(self.failures, now.entropy, None);
        submission.again_at(now.mono.after(pause));
        self.under_way = Some(submission);
    }

    fn durable(&mut self, submission: Submission, taken: Vec<TransactionKey>, now: Mono) {
        self.number = submission.batch().number;
        self.silent_until = now.after(self.settings.longest_silence);
        for life in taken {
            self.events.push_back(JournalEvent::Exists(life.gid.clone()));
            self.left_out.add(life);
        }
        if let Some(covers) = submission.covers() {
            self.settle(covers);
        }
    }

    /// What is rejected is halved until it concerns one transaction, which is quarantined; the
    /// rest is written.
    fn rejected(&mut self, submission: Submission, now: Mono) -> Option<TransactionKey> {
        match submission.bisected() {
            Ok([first, second]) => {
                self.parts.push(second);
                self.parts.push(first);
                None
            }
            Err(Some((life, covers))) => {
                self.events.push_back(JournalEvent::Quarantined(life.gid.clone()));
                self.left_out.add(life.clone());
                self.settle(covers);
                Some(life)
            }
            Err(None) => {
                // A sign of life has no data that could be at fault; the next is due later.
                self.silent_until = now.after(self.settings.longest_silence);
                None
            }
        }
    }

    /// Everything up to here is durable or left out.
    fn settle(&mut self, covers: Seq) {
        if self.parts.is_empty() {
            self.settled = self.settled.and(std::mem::take(&mut self.cut));
        }
        self.events.push_back(JournalEvent::Durable(covers));
    }
}
