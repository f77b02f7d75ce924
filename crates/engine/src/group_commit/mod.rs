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
//! Between two batches goes what has no records: a chunk of a dead life's transactions that this
//! one takes over, what an operator did to no single transaction, and at last that this life leaves.
//! Each has a number among the batches', and is submitted again like them.
//!
//! The journal's thread drives this with a database and a clock, the simulation with rows in
//! memory and virtual time. Time is an argument, and what is to be done later is a deadline.

mod backlog;
mod batch;
mod left_out;
mod submission;

use std::collections::VecDeque;
use std::time::Duration;

use tercet_wire::{Backoff, Gid, Incarnation, Mono, Now, Seq};

pub use backlog::Backlog;
use batch::cut;
pub use batch::{Batch, Caps, Chunk, Leave, Submitted, Weight};
use left_out::LeftOut;
pub use left_out::TransactionKey;
use submission::{Indivisible, Part, Submission};

use crate::cluster::MOST_IN_CHUNK;
use crate::journal_event::{JournalEvent, Urgency};
use crate::record::Record;
use crate::saga_revision::ActAlone;

/// The numbers the writer goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupCommitSettings {
    /// How much a batch may hold.
    pub caps: Caps,
    /// How long what nobody waits for may wait for what somebody does.
    pub linger: Duration,
    /// The pauses before a batch that failed is submitted again.
    pub resubmit: Backoff,
    /// How long nothing is written at most: then an empty batch is the sign of life. Where nodes
    /// watch each other this is the heartbeat, well below the lease.
    pub longest_silence: Duration,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Committed {
    /// Each of its records is durable, but for those of the lives named here, whose gid belongs
    /// to another.
    Durable {
        /// Those lives.
        taken: Vec<TransactionKey>,
    },
    /// The chunk is durable.
    TakenOver {
        /// Those of its transactions that are this life's now.
        gids: Vec<Gid>,
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

/// Whether this life says that it writes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Leaving {
    /// It does not.
    No,
    /// It will, once all is written.
    Asked,
    /// It has, or cannot.
    Over,
}

/// The writer's decisions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// Transactions that are to be taken over, in chunks, and from whom.
    chunks: VecDeque<(Incarnation, Vec<Gid>)>,
    /// What operators did to no single transaction.
    acts: VecDeque<ActAlone>,
    /// Whether what was submitted last was a chunk: then it is the batches' turn.
    chunk_was_last: bool,
    leaving: Leaving,
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
            chunks: VecDeque::new(),
            acts: VecDeque::new(),
            chunk_was_last: false,
            leaving: Leaving::No,
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

    /// Has these transactions of a dead life made this one's, at most [`MOST_IN_CHUNK`] at a time.
    /// [`JournalEvent::TakingOver`] is told at once, and must be heard before anything that is
    /// read after the next [`GroupCommit::submit`]; [`JournalEvent::TakenOver`] says which it got,
    /// once for each call, in their order, unless this life is fenced.
    pub fn take_over(&mut self, dead: Incarnation, mut gids: Vec<Gid>) {
        gids.sort();
        gids.dedup();
        debug_assert!(gids.len() <= MOST_IN_CHUNK, "{} in a chunk", gids.len());
        self.events.push_back(JournalEvent::TakingOver { dead, gids: gids.clone() });
        if self.closing || gids.is_empty() {
            return self.events.push_back(JournalEvent::TakenOver { dead, gids: Vec::new() });
        }
        self.chunks.push_back((dead, gids));
    }

    /// Has what an operator did to no single transaction written at once, in their order. Whoever
    /// submits hears of it with the submission that has it.
    pub fn act(&mut self, act: impl Into<ActAlone>) {
        self.acts.push_back(act.into());
    }

    /// What waits is written at once, and then it is over. Nothing more is taken over.
    pub fn close(&mut self) {
        self.closing = true;
        for (dead, _) in std::mem::take(&mut self.chunks) {
            self.events.push_back(JournalEvent::TakenOver { dead, gids: Vec::new() });
        }
    }

    /// The same; and the last that is written says that this life is over, so that others take
    /// over at once what it drives.
    pub fn leave(&mut self) {
        self.close();
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Asked;
        }
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The batch that is to be submitted now, if one is. It is under way until
    /// [`GroupCommit::committed`] says what became of it.
    pub fn submit(&mut self, now: Now) -> Option<&Submitted> {
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
            Committed::Durable { taken } => self.durable(submission, taken, Vec::new(), now.mono),
            Committed::TakenOver { gids } => self.durable(submission, Vec::new(), gids, now.mono),
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
            None if !self.acts.is_empty() => Some(Mono(0)),
            None if self.waiting.is_empty() => (!self.closing).then_some(self.silent_until),
            None => self.lingers_until,
        }
    }

    /// Whether nothing waits to be written and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let none_waits = self.waiting.is_empty() && self.chunks.is_empty() && self.acts.is_empty();
        self.is_between_batches() && none_waits
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
        let under_way = self.under_way.as_ref().is_some_and(|it| !it.submitted().is_sign_of_life());
        let waits = !self.waiting.is_empty() || !self.acts.is_empty();
        let left = under_way || !self.parts.is_empty() || waits;
        self.fenced || (self.closing && !left && self.leaving != Leaving::Asked)
    }

    /// Whether another has fenced this life.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Records that wait to be cut.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The batch under way, whether the store has it or it is to be submitted again.
    #[must_use]
    pub fn under_way(&self) -> Option<&Submitted> {
        self.under_way.as_ref().map(Submission::submitted)
    }

    fn next_submission(&mut self, now: Now) -> Option<Submission> {
        if self.fenced {
            return None;
        }
        let number = self.number + 1;
        // They are few, and each has somebody who waits for it.
        if self.parts.is_empty()
            && let Some(act) = self.acts.pop_front()
        {
            return Some(Submission::act(act, number, now));
        }
        // Batches and chunks take turns, so that neither waits for all of the other.
        let chunk_first = self.parts.is_empty() && !self.chunk_was_last;
        if chunk_first && let Some(chunk) = self.next_chunk(number, now) {
            return Some(chunk);
        }
        while let Some(mut part) = self.parts.pop().or_else(|| self.cut(now.mono)) {
            part.records.retain(|record| !self.left_out.covers(record));
            if !part.records.is_empty() {
                self.chunk_was_last = false;
                return Some(Submission::of(part, number, now));
            }
            self.settle(part.covers);
        }
        if let Some(chunk) = self.next_chunk(number, now) {
            return Some(chunk);
        }
        if self.leaving == Leaving::Asked {
            return Some(Submission::leave(number, now));
        }
        // What lingers is written soon enough to be a sign of life itself.
        let silent = self.is_idle() && now.mono >= self.silent_until && !self.closing;
        silent.then(|| Submission::sign_of_life(number, now))
    }

    fn next_chunk(&mut self, number: i64, now: Now) -> Option<Submission> {
        let (dead, gids) = self.chunks.pop_front()?;
        self.chunk_was_last = true;
        Some(Submission::chunk(dead, gids, number, now))
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

    fn durable(
        &mut self,
        submission: Submission,
        taken: Vec<TransactionKey>,
        gids: Vec<Gid>,
        now: Mono,
    ) {
        self.number = submission.submitted().number();
        self.silent_until = now.after(self.settings.longest_silence);
        for life in taken {
            self.events.push_back(JournalEvent::Exists(life.gid.clone()));
            self.left_out.add(life);
        }
        match submission.submitted() {
            Submitted::Batch(_) => {}
            Submitted::Chunk(chunk) => {
                self.events.push_back(JournalEvent::TakenOver { dead: chunk.dead, gids });
            }
            Submitted::Leave(_) => self.leaving = Leaving::Over,
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
            Err(Indivisible::OneLife(life, covers)) => {
                self.events.push_back(JournalEvent::Quarantined(life.gid.clone()));
                self.left_out.add(life.clone());
                self.settle(covers);
                Some(life)
            }
            // What has no records has no data that could be at fault; the next is due later, and
            // what was not taken over is found again by the next look.
            Err(Indivisible::SignOfLife) => {
                self.silent_until = now.after(self.settings.longest_silence);
                None
            }
            // Whoever submits it has heard, and so has whoever waits for it.
            Err(Indivisible::Act) => None,
            Err(Indivisible::NoRecords(submitted)) => {
                match submitted {
                    Submitted::Chunk(Chunk { dead, .. }) => {
                        self.events.push_back(JournalEvent::TakenOver { dead, gids: Vec::new() });
                    }
                    Submitted::Leave(_) => self.leaving = Leaving::Over,
                    Submitted::Batch(_) => {}
                }
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
