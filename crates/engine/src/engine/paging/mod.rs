//! What need not be in memory. A participant may be away for hours, and all that was decided
//! meanwhile waits for it; an initiator may leave what it began open for days. So many of those
//! stay here; the others are paged out to the journal, which holds all of them anyway. What is
//! decided comes back a page at a time, what is not when somebody asks for it or its time is over.
//!
//! ```text
//!              evictable, and there are too many           rows say all, durable
//!  in memory ─────────────────────────────────▶ leaves ───────────────────────────▶ paged out
//!      ▲                                                                              │
//!      └── Load::Found ◀── Effect::Load ◀── Input::PageOfGids ◀── Output::sweep ◀──────────┘
//! ```
//!
//! `evict` says who leaves, `page_in` who comes back and when; `backoffs` and `wakes` are what is
//! remembered meanwhile.

mod backoffs;
mod evict;
mod page_in;
mod paged_out;
mod wakes;

pub(in crate::engine) use evict::{ASLEEP, Residence};
use tercet_wire::{Gid, Mono, Now, Status, Wall};

use crate::dispatch::Destination;
use crate::engine::Engine;
use crate::engine::output::Output;
use crate::engine::paging::backoffs::{Backoffs, Remembered};
use crate::engine::paging::evict::Evictions;
use crate::engine::paging::page_in::Pages;
use crate::engine::paging::paged_out::PagedOut;
use crate::engine::paging::wakes::Wakes;
use crate::invariants::Broken;
use crate::transaction::{Waiting, Wake};

/// Who leaves memory, what has left it, and how that comes back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Paging {
    evictions: Evictions,
    paged_out: PagedOut,
    pages: Pages,
    backoffs: Backoffs,
    wakes: Wakes,
}

impl Paging {
    /// Brings the place of a live transaction up to date.
    pub(in crate::engine) fn set(
        &mut self,
        gid: &Gid,
        residence: &mut Residence,
        bytes: usize,
        evictable_from: Option<Mono>,
    ) {
        self.evictions.set(gid, residence, bytes, evictable_from);
    }

    /// Somebody speaks of a live transaction: from when on it may leave is reckoned anew.
    pub(in crate::engine) fn is_spoken_of(&mut self, gid: &Gid, residence: &mut Residence) {
        self.evictions.stay(gid, residence);
    }

    /// A transaction is no longer in memory.
    pub(in crate::engine) fn remove(&mut self, gid: &Gid, residence: &mut Residence) {
        self.evictions.remove(gid, residence);
    }

    /// Live transactions that could leave, or do.
    pub(in crate::engine) fn evictions(&self) -> usize {
        self.evictions.entries()
    }

    /// How many are paged out.
    pub(in crate::engine) fn count(&self) -> usize {
        self.paged_out.count() + self.wakes.asleep()
    }

    /// How many of those wait for nobody until their time has come. All of them are confirming.
    pub(in crate::engine) fn asleep(&self) -> usize {
        self.wakes.asleep()
    }

    /// Those that are paged out by status, and when the oldest of them was begun; but for those
    /// that wait for nobody.
    pub(in crate::engine) fn by_status(&self) -> impl Iterator<Item = (Status, usize, Wall)> {
        self.paged_out.by_status()
    }

    /// Branches of theirs that are shown to people.
    pub(in crate::engine) fn parked_branches(&self) -> usize {
        self.paged_out.parked_branches()
    }

    /// When the next page is due although there is no room for it.
    pub(in crate::engine) fn next(&self, loads: usize) -> Option<Mono> {
        self.pages.next(loads)
    }

    /// A destination answers again.
    pub(in crate::engine) fn heals(&mut self, destination: &Destination) {
        self.pages.heals(destination);
    }

    /// A participant is called again.
    pub(in crate::engine) fn resumes(&mut self, participant: &str) {
        self.pages.resumes(participant);
    }

    /// Whether the time has come of what one that was paged out has to do by itself.
    pub(in crate::engine) fn has_to_do(&self, gid: &Gid, now: Mono) -> bool {
        self.wakes.is_due(gid, now)
    }

    /// Whether one that was paged out has something to do by itself, or to go on with: there is such a transaction.
    pub(in crate::engine) fn knows(&self, gid: &Gid) -> bool {
        self.wakes.has(gid) || self.backoffs.has(gid)
    }

    /// The backoffs that one that was paged out goes on with, and what its history says of calls.
    pub(in crate::engine) fn take_backoffs(&mut self, gid: &Gid) -> Remembered {
        self.backoffs.take(gid)
    }

    /// What one that was paged out had to do by itself.
    pub(in crate::engine) fn take_wake(&mut self, gid: &Gid) -> Option<Wake> {
        self.wakes.take(gid)
    }

    /// One more is paged out. It may have a gid that the page of the moment is past: there is
    /// one more round. What is undecided waits for its initiator or its deadline, and what is asleep
    /// for its time: no page brings those back.
    fn add(&mut self, gid: &Gid, status: Status, what: &Waiting, wake: Option<Wake>) {
        self.wakes.remember(gid, wake);
        if self.wakes.is_asleep(gid) {
            return;
        }
        self.paged_out.add(status, what);
        if status.is_decided() {
            self.pages.begin();
        }
    }

    /// How many branches of those that are paged out wait for a participant, and are shown to
    /// people.
    pub(in crate::engine) fn waiting_for(&self, participant: &str) -> (usize, usize) {
        self.paged_out.waiting_for(participant)
    }

    /// Whether a transaction is where it says, and may be there.
    pub(in crate::engine) fn agrees(
        &self,
        gid: &Gid,
        residence: &Residence,
        bytes: usize,
        evictable: bool,
    ) -> Result<(), Broken> {
        self.evictions.agrees(gid, residence, bytes, evictable)
    }

    /// Whether the sums are those of these transactions, and whether what is paged out comes back.
    pub(in crate::engine) fn check<'a>(
        &self,
        residences: impl Iterator<Item = &'a Residence>,
    ) -> Result<(), Broken> {
        if self.paged_out.decided() > 0 && !self.pages.are_read() {
            let why = format!("{} are paged out and no page is read", self.paged_out.decided());
            return Err(Broken::IndexDisagrees { part: "paging", why });
        }
        if !self.wakes.agree() {
            let why = "one that is paged out would not be woken".to_owned();
            return Err(Broken::IndexDisagrees { part: "paging", why });
        }
        self.evictions.check(residences)
    }
}

impl Engine {
    /// Those that have been evictable longest leave memory while there are too many; a page
    /// comes back when there is room or it is time.
    pub(in crate::engine) fn evict_and_page_in(&mut self, now: Now, output: &mut Output) {
        self.evict_what_is_too_much(now, output);
        self.wake_what_is_due(now, output);
        self.page_in(now, output);
    }
}
