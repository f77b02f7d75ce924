//! The initiators' own service: work of their own in a database of their own, and the question what
//! became of it. It keeps its book as the SDK's `Checked` does:
//!
//! ```text
//!   work ─▶ record: a row, unless there is one ─▶ commit, or rolled back and the row with it
//!   asked ─▶ a row that is committed? says it · one that is not? "not yet" · none? writes "never"
//! ```
//!
//! Its messages to others are written with the work, and relays hand them over.

mod outbox;
mod relay;
mod sent;

use std::collections::BTreeMap;
use std::sync::Arc;

use tercet_wire::{Answer, Gid};

use crate::content::Content;
use crate::coverage::{Check, Mishap, Sent};
use crate::initiators::outbox::Outbox;
use crate::initiators::relay::Relay;
use crate::network;
use crate::rows::Rows;
use crate::scheduled_event::{Heard, LocalWork, Question, RelayEvent, ScheduledEvent};
use crate::scheduler::Scheduler;
use crate::service::status;

pub(crate) use sent::{at_rest, begun};

/// What is committed of a gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The work. When it was done so many branches were known, all of them tried.
    Done { branches: usize },
    /// It was asked for first: there will be none.
    Never,
}

/// What became of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worked {
    Committed,
    /// It was rolled back, since something else went wrong or since it came too late.
    NotDone,
}

/// The service and its database.
#[derive(Debug, Default)]
pub(crate) struct Initiators {
    book: BTreeMap<Gid, Mark>,
    /// Rows that are written and not committed.
    open: BTreeMap<Gid, LocalWork>,
    outbox: Outbox,
    relays: Vec<Relay>,
    down_until: u64,
    cut_off_until: u64,
}

impl Initiators {
    /// What is committed of a gid, if anything is.
    pub(crate) fn mark(&self, gid: &Gid) -> Option<Mark> {
        self.book.get(gid).copied()
    }

    pub(crate) fn goes_down(&mut self, until: u64) {
        self.down_until = until;
    }

    pub(crate) fn is_cut_off(&mut self, until: u64) {
        self.cut_off_until = until;
    }

    pub(crate) fn heals(&mut self) {
        self.down_until = 0;
        self.cut_off_until = 0;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.outbox.is_over()
    }

    /// So many relays, which are answered as those who ask after all others.
    pub(crate) fn with_relays(&mut self, relays: usize, actors: usize, scheduler: &mut Scheduler) {
        self.relays = (0..relays).map(|number| Relay::new(number, actors + number)).collect();
        self.relays.iter().for_each(|relay| relay.starts(0, scheduler));
    }

    /// Work is to be done at some moment, with a message.
    pub(crate) fn will_send(&mut self, at: u64, content: &Arc<Content>, scheduler: &mut Scheduler) {
        self.outbox.to_come += 1;
        scheduler.at(at, ScheduledEvent::Send(Arc::clone(content)));
    }

    /// Work is done with its message, but for the commit.
    pub(crate) fn sends(&self, content: Arc<Content>, scheduler: &mut Scheduler) {
        let slow = scheduler.fault(scheduler.plan.initiator.slow, Mishap::SlowBusiness);
        let takes = scheduler.rng.mostly_small(if slow { 20_000 } else { 3 });
        scheduler.after(takes, ScheduledEvent::SendEnds(content));
    }

    /// It commits, or is rolled back.
    pub(crate) fn send_ends(&mut self, content: Arc<Content>, scheduler: &mut Scheduler) {
        self.outbox.to_come -= 1;
        if scheduler.fault(scheduler.plan.initiator.roll_back, Sent::RolledBack) {
            return;
        }
        let is_written = self.outbox.written(content, scheduler.now);
        scheduler.saw(if is_written { Sent::Written } else { Sent::WrittenBefore });
    }

    /// Something happens inside a relay's process.
    pub(crate) fn relay_happens(
        &mut self,
        relay: usize,
        life: u64,
        event: RelayEvent,
        rows: &Rows,
        scheduler: &mut Scheduler,
    ) {
        let Some(it) = self.relays.get_mut(relay) else { return };
        match it.frozen_until(scheduler.now) {
            Some(until) => scheduler.at(until, ScheduledEvent::Relay { relay, life, event }),
            None => it.happens(life, event, &mut self.outbox, rows, scheduler),
        }
    }

    /// A relay hears what became of a request.
    pub(crate) fn relay_hears(
        &mut self,
        relay: usize,
        (actor, number): (usize, u64),
        heard: Heard,
        scheduler: &mut Scheduler,
    ) {
        let Some(it) = self.relays.get_mut(relay) else { return };
        match it.frozen_until(scheduler.now) {
            Some(until) => scheduler.at(until, ScheduledEvent::Heard { actor, number, heard }),
            None => it.hears(number, heard, scheduler),
        }
    }

    pub(crate) fn relay_dies(&mut self, relay: usize, scheduler: &mut Scheduler) {
        if let Some(relay) = self.relays.get_mut(relay) {
            scheduler.saw(Sent::RelayDies);
            relay.dies(scheduler);
        }
    }

    pub(crate) fn relay_freezes(&mut self, relay: usize, until: u64, scheduler: &mut Scheduler) {
        if let Some(relay) = self.relays.get_mut(relay) {
            scheduler.saw(Sent::RelayFreezes);
            relay.freezes(until);
        }
    }

    /// An initiator's work is done but for its commit: its row is written.
    pub(crate) fn records(&mut self, work: LocalWork, scheduler: &mut Scheduler) {
        if self.mark(&work.gid).is_some() {
            scheduler.saw(Check::CommittedTooLate);
            return ended(&work, Worked::NotDone, scheduler);
        }
        let slow = scheduler.fault(scheduler.plan.initiator.slow, Mishap::SlowBusiness);
        let longest = if slow { 20_000 } else { 3 };
        let takes = scheduler.rng.mostly_small(longest);
        scheduler.after(takes, ScheduledEvent::WorkEnds { gid: work.gid.clone() });
        self.open.insert(work.gid.clone(), work);
    }

    /// It commits, or is rolled back.
    pub(crate) fn work_ends(&mut self, gid: &Gid, scheduler: &mut Scheduler) {
        let Some(work) = self.open.remove(gid) else { return };
        if scheduler.fault(scheduler.plan.initiator.roll_back, Check::RolledBack) {
            return ended(&work, Worked::NotDone, scheduler);
        }
        self.book.insert(work.gid.clone(), Mark::Done { branches: work.branches });
        // Before it could tell anybody.
        if scheduler.fault(scheduler.plan.initiator.dies, Check::CommittedAndDied) {
            return;
        }
        ended(&work, Worked::Committed, scheduler);
    }

    /// The coordinator asks what became of a transaction.
    pub(crate) fn asked(&mut self, question: Question, scheduler: &mut Scheduler) {
        if scheduler.now < self.cut_off_until {
            return;
        }
        if scheduler.now < self.down_until {
            let why = "connection refused".to_owned();
            return network::answer(question.from, Answer::Nothing { why }, scheduler);
        }
        let odd = scheduler.fault(scheduler.plan.initiator.odd, Mishap::OddAnswer);
        let odd = odd.then(|| odd_answer(scheduler));
        // As often as not it is written all the same.
        if let Some(odd) = &odd
            && scheduler.rng.one_in(2)
        {
            return network::answer(question.from, odd.clone(), scheduler);
        }
        let answer = self.answer(&question.gid);
        network::answer(question.from, odd.unwrap_or(answer), scheduler);
    }

    fn answer(&mut self, gid: &Gid) -> Answer {
        if self.open.contains_key(gid) {
            return status(202, Some(1_000));
        }
        match self.book.entry(gid.clone()).or_insert(Mark::Never) {
            Mark::Done { .. } => status(200, None),
            Mark::Never => status(410, None),
        }
    }
}

fn ended(work: &LocalWork, worked: Worked, scheduler: &mut Scheduler) {
    let (actor, number, heard) = (work.actor, work.number, Heard::Worked(worked));
    scheduler.after(1, ScheduledEvent::Heard { actor, number, heard });
}

/// What says neither that it was done nor that it never will be.
fn odd_answer(scheduler: &mut Scheduler) -> Answer {
    let rng = &mut scheduler.rng;
    match rng.below(10) {
        0 | 1 => status(500, None),
        2 => status(503, Some(rng.pick(&[0, 1_000, 200_000]))),
        3..=5 => status(202, rng.pick(&[None, Some(100), Some(3_000)])),
        6 => status(429, Some(rng.pick(&[0, 2_000]))),
        7 => status(rng.pick(&[302, 100, 999, 0]), None),
        8 => status(rng.pick(&[400, 403, 422]), None),
        _ => Answer::Nothing { why: "connection reset".to_owned() },
    }
}
