//! How what is paged out comes back: a page at a time, as fast as there is room for them, and
//! else one now and then, in turn, so that what could go on does not wait for ever behind what
//! cannot.
//!
//! Where a destination answers again they come at once. It may be a few transactions among a
//! million that wait for another, so all pages are read through without a pause, and only those
//! few come back of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tercet_wire::{BranchId, BranchStatus, Gid, Mono, Now, shown_host_port};
use url::Url;

use crate::dispatch::Destination;
use crate::engine::Engine;
use crate::engine::output::{Output, PageRequest};
use crate::record::Decision;
use crate::stored::StoredTransaction;
use crate::transaction::Transaction;

/// The pause between pages while there is no room for more.
const TURN: Duration = Duration::from_millis(500);

/// How far the reading of pages is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Pages {
    /// Whether they are read: from the first that is paged out until a whole round finds none.
    reading: bool,
    /// Destinations that answer again, and how many more ends of a round are to be reached
    /// until all that was paged out by then has been looked at.
    healed: BTreeMap<Destination, u8>,
    /// The same of participants that are called again.
    resumed: BTreeMap<String, u8>,
    /// Whether the page of the moment is read in passing: only for what waits for those.
    in_passing: bool,
    /// The last gid of the last page.
    reached: Option<Gid>,
    /// The journal is asked for a page.
    asked: bool,
    /// When the next page is due although there is no room.
    next_turn: Mono,
    /// Whether anything was found since the first page.
    found: bool,
    /// Whether anything was paged out since the journal was asked for the page of the moment, which
    /// may not have it.
    missed: bool,
}

impl Pages {
    pub(super) fn begin(&mut self) {
        self.reading = true;
        self.found = true;
        self.missed = self.asked;
    }

    pub(super) fn are_read(&self) -> bool {
        self.reading
    }

    pub(super) fn heals(&mut self, destination: &Destination) {
        if self.reading {
            self.healed.insert(destination.clone(), self.ends());
        }
    }

    pub(super) fn resumes(&mut self, participant: &str) {
        if self.reading {
            self.resumed.insert(participant.to_owned(), self.ends());
        }
    }

    /// Those before the present place have their turn in the next round.
    fn ends(&self) -> u8 {
        if self.reached.is_some() { 2 } else { 1 }
    }

    /// When the next page is due although there is no room. `loads`: those of the last page that
    /// are not answered yet; it comes after them.
    pub(super) fn next(&self, loads: usize) -> Option<Mono> {
        (self.reading && !self.asked && loads == 0).then_some(self.next_turn)
    }

    /// The journal is asked for the next page.
    fn ask(&mut self, in_passing: bool, now: Now) -> PageRequest {
        self.asked = true;
        self.missed = false;
        self.in_passing = in_passing;
        if !in_passing {
            self.next_turn = now.mono.after(TURN);
        }
        PageRequest { after: self.reached.clone() }
    }

    /// The last page was reached; says whether nothing was found in the whole round.
    fn end_round(&mut self) -> bool {
        let is_first = self.reached.take().is_none();
        let nothing = !self.missed && (is_first || !self.found);
        if nothing {
            *self = Self { next_turn: self.next_turn, ..Self::default() };
        }
        self.found = false;
        let is_left = |ends: &mut u8| {
            *ends -= 1;
            *ends > 0
        };
        self.healed.retain(|_, ends| is_left(ends));
        self.resumed.retain(|_, ends| is_left(ends));
        nothing
    }
}

impl Engine {
    pub(super) fn page_in(&mut self, now: Now, output: &mut Output) {
        let Some(next) = self.paging.pages.next(self.loading.of_page()) else { return };
        let (room, due) = (self.has_room_for_a_page(), now.mono >= next);
        // A new round waits for its time: what is being read already would else be swept over
        // again and again.
        let goes_on = self.paging.pages.reached.is_some() && (room || self.has_healed());
        if due || goes_on {
            output.sweep = Some(self.paging.pages.ask(!due && !room, now));
        }
    }

    fn has_room_for_a_page(&self) -> bool {
        let evictions = &self.paging.evictions;
        let (most, most_bytes) = self.settings.most_waiting();
        evictions.awake() < most.div_ceil(2)
            && evictions.awake_bytes() < most_bytes.div_ceil(2)
            && self.live.len() < self.settings.live_transactions
    }

    /// Whether a destination answers again, or a participant is called again, and nobody here
    /// waits for capacity at it, so that what is paged out and waits for it alone is looked for
    /// among all others, however many they are.
    fn has_healed(&self) -> bool {
        let pages = &self.paging.pages;
        pages.healed.keys().any(|healed| !self.capacity.is_awaited(healed))
            || pages.resumed.keys().any(|resumed| !self.capacity.is_awaited_of(resumed))
    }

    /// A page of those that are paged out: those that are not here are read.
    pub(in crate::engine) fn page_of_gids(
        &mut self,
        gids: Vec<Gid>,
        now: Now,
        output: &mut Output,
    ) {
        self.paging.pages.asked = false;
        if gids.is_empty() {
            // Once round. What was counted and is nowhere was finished by somebody else, or is
            // not to be read.
            if self.paging.pages.end_round() {
                self.paging.paged_out.forget_decided();
                self.paging.backoffs.forget_decided();
            }
            return;
        }
        let looks_at_all = self.has_room_for_a_page() || self.paging.pages.in_passing;
        self.paging.pages.reached = gids.last().cloned();
        let due = now.mono.after(self.settings.load_within);
        for gid in gids {
            if let Some(live_transaction) = self.live.get(&gid) {
                // Until it is durable it may turn out that the gid is taken, by what is paged out.
                self.paging.pages.found |= live_transaction.release_after() > self.durable;
                continue;
            }
            // What is taken over is read by itself.
            if self.unreadable.contains(&gid) || self.arrivals.contains(&gid) {
                continue;
            }
            // Nobody could do anything with it before its time.
            if self.paging.wakes.is_asleep(&gid) {
                continue;
            }
            self.paging.pages.found = true;
            // Somebody asked for it. If that load fails, it is still paged out.
            if self.loading.contains(&gid) {
                continue;
            }
            // It would only be in the way here.
            if !looks_at_all && self.paging.backoffs.are_on(&gid, now.mono) {
                continue;
            }
            self.load_of_page(gid, due, output);
        }
    }

    /// Whether what was read of a page is left where it is: it does not wait for what the page
    /// was read for.
    pub(in crate::engine) fn is_passed_over(&self, stored: &StoredTransaction) -> bool {
        let pages = &self.paging.pages;
        if !pages.in_passing {
            return false;
        }
        let path_segments = self.settings.destination_path_segments;
        let Some(op) = stored.decision().map(Decision::op) else { return false };
        let acknowledged = |id: &BranchId| {
            let row = stored.branch_records.iter().find(|row| row.branch == *id);
            row.is_some_and(|row| {
                row.acknowledged_at.is_some() || row.status == BranchStatus::Skipped
            })
        };
        let open = stored.branches.iter().filter(|branch| !acknowledged(&branch.id));
        let mut urls = open.filter_map(|branch| branch.url(op));
        let of_healed = |url: &Url| {
            pages.healed.keys().any(|healed| healed.is_of(url, path_segments))
                || !pages.resumed.is_empty() && pages.resumed.contains_key(&*shown_host_port(url))
        };
        !urls.any(|url| of_healed(url))
    }

    /// A transaction found at start-up for which memory has no room.
    pub(in crate::engine) fn leave_paged_out(&mut self, found: &Transaction) {
        let wake = found.wakes_at(&self.settings.rules);
        self.paging.add(found.gid(), found.status(), &found.waiting(), wake);
    }

    /// One of those that are paged out was read.
    pub(in crate::engine) fn is_back(&mut self, stored: &StoredTransaction, now: Now) {
        if !stored.status.is_finished() && !self.paging.wakes.is_asleep(&stored.spec.gid) {
            let waiting = Transaction::restore(stored, now).waiting();
            self.paging.paged_out.remove(stored.status, &waiting);
        }
    }

    /// One of those is back: it does not back off for a destination that answers again, nor for a
    /// participant that is called again.
    pub(in crate::engine) fn wake_if_healed(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        let resumed: BTreeSet<String> = self.paging.pages.resumed.keys().cloned().collect();
        if !resumed.is_empty() {
            self.run(gid, now, output, |transaction, step| transaction.was_resumed(&resumed, step));
        }
        let path_segments = self.settings.destination_path_segments;
        let healed: Vec<Destination> = self.paging.pages.healed.keys().cloned().collect();
        for destination in healed {
            self.run(gid, now, output, |transaction, step| {
                transaction.destination_healed(&destination, path_segments, step);
            });
        }
    }
}
