//! What need not be in memory. A participant may be away for hours, and all that was decided
//! meanwhile waits for it. So many of those stay here; the others are paged out to the journal,
//! which holds all of them anyway, and come back a page at a time.
//!
//! ```text
//!              evictable, and there are too many           rows say all, durable
//!  in memory ─────────────────────────────────▶ leaves ───────────────────────────▶ paged out
//!      ▲                                                                              │
//!      └── Load::Found ◀── Effect::Load ◀── Input::PageOfGids ◀── Output::sweep ◀──────────┘
//! ```
//!
//! `evict` says who leaves, `page_in` who comes back and when; `backoffs` is what is remembered
//! meanwhile.

mod backoffs;
mod evict;
mod page_in;
mod paged_out;

pub(in crate::engine) use evict::Residence;
use tercet_wire::{Gid, Mono, Now, Status, Wall};

use crate::dispatch::Destination;
use crate::engine::Engine;
use crate::engine::output::Output;
use crate::engine::paging::backoffs::Backoffs;
use crate::engine::paging::evict::Evictions;
use crate::engine::paging::page_in::Pages;
use crate::engine::paging::paged_out::PagedOut;
use crate::invariants::Broken;
use crate::transaction::BranchBackoff;

/// Who leaves memory, what has left it, and how that comes back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Paging {
    evictions: Evictions,
    paged_out: PagedOut,
    pages: Pages,
    backoffs: Backoffs,
}

impl Paging {
    /// Brings the place of a live transaction up to date.
    pub(in crate::engine) fn set(
        &mut self,
        gid: &Gid,
        residence: &mut Residence,
        bytes: usize,
        evictable: bool,
        now: Now,
    ) {
        self.evictions.set(gid, residence, bytes, evictable, now);
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
        self.paged_out.count()
    }

    /// Those that are paged out by status, and when the oldest of them was begun.
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

    /// The backoffs that one that was paged out goes on with.
    pub(in crate::engine) fn take_backoffs(&mut self, gid: &Gid) -> Vec<BranchBackoff> {
        self.backoffs.take(gid)
    }

    /// One more is paged out. It may have a gid that the page of the moment is past: there is
    /// one more round.
    fn add(&mut self, status: Status, created_at: Wall, parked_branches: usize) {
        self.paged_out.add(status, created_at, parked_branches);
        self.pages.begin();
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
        if self.paged_out.count() > 0 && !self.pages.are_read() {
            let why = format!("{} are paged out and no page is read", self.paged_out.count());
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
        self.page_in(now, output);
    }
}
