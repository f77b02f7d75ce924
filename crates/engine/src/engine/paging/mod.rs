//! What need not be in memory. A participant may be away for hours, and all that was decided
//! meanwhile waits for it. So many of those stay here; the others rest in the journal, which
//! holds all of them anyway, and come back a page at a time.
//!
//! ```text
//!              only waits, and there are too many           rows say all, durable
//!  in memory ─────────────────────────────────▶ leaves ───────────────────────────▶ rests
//!      ▲                                                                              │
//!      └── Load::Found ◀── Effect::Load ◀── Input::PageOfGids ◀── Output::sweep ◀──────────┘
//! ```
//!
//! Pages come as fast as there is room for them, and else one now and then, in turn, so that
//! what could go on does not rest for ever behind what cannot. Where a destination answers again
//! they come at once (`page_in.rs`).

mod backoffs;
mod page_in;

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_wire::{Gid, Mono, Now, Seq, Status, Wall};

use crate::dispatch::Destination;
use crate::engine::live_transaction::{LiveTransaction, Rest};
use crate::engine::output::{Output, PageRequest};
use crate::engine::paging::backoffs::Pauses;
use crate::engine::{Engine, Loading};
use crate::stored::StoredTransaction;

/// The pause between pages while there is no room for more.
const TURN: Duration = Duration::from_millis(500);

/// What rests in the journal, as far as memory knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Paged {
    /// Whether the journal is swept: from the first that rests until a whole round finds none.
    /// What is counted decides nothing here, since some cannot be counted: rows that could not
    /// be read do not say what they are.
    pub(in crate::engine) sweeping: bool,
    /// How many by status, and when the oldest of them was begun.
    by_status: BTreeMap<Status, (usize, Wall)>,
    parked_branches: usize,
    pub(in crate::engine) pauses: Pauses,
    /// Destinations that answer again, and how many more ends of a round are to be reached
    /// until all that rested by then have been looked at.
    pub(in crate::engine) healed: BTreeMap<Destination, u8>,
    /// Whether the page of the moment is read in passing: only for what waits for those.
    pub(in crate::engine) in_passing: bool,
    /// The last gid of the last page.
    pub(in crate::engine) reached: Option<Gid>,
    asked: bool,
    /// Loads of the last page that are not answered yet.
    loads: usize,
    /// When the next page is due although there is no room.
    next_turn: Mono,
    /// Whether anything was found since the first page.
    found: bool,
}

impl Paged {
    pub(in crate::engine) fn count(&self) -> usize {
        self.by_status.values().map(|(count, _)| count).sum()
    }

    pub(in crate::engine) fn by_status(&self) -> impl Iterator<Item = (Status, usize, Wall)> {
        self.by_status.iter().map(|(status, (count, oldest))| (*status, *count, *oldest))
    }

    pub(in crate::engine) fn parked_branches(&self) -> usize {
        self.parked_branches
    }

    fn add(&mut self, status: Status, created_at: Wall, parked_branches: usize) {
        let (count, oldest) = self.by_status.entry(status).or_insert((0, created_at));
        *count += 1;
        self.sweeping = true;
        // It may have a gid that the page of the moment is past: there is one more round.
        self.found = true;
        *oldest = (*oldest).min(created_at);
        self.parked_branches += parked_branches;
    }

    fn remove(&mut self, status: Status, parked_branches: usize) {
        if let Some((count, _)) = self.by_status.get_mut(&status) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_status.remove(&status);
            }
        }
        self.parked_branches = self.parked_branches.saturating_sub(parked_branches);
    }

    fn waits_for_its_turn(&self) -> bool {
        self.sweeping && !self.asked && self.loads == 0
    }

    pub(in crate::engine) fn due(&self) -> Option<Mono> {
        self.waits_for_its_turn().then_some(self.next_turn)
    }
}

impl Engine {
    /// Brings a transaction's place among those that could rest up to date.
    pub(in crate::engine) fn index_rest(&mut self, gid: &Gid, now: Now) {
        let Some(live_transaction) = self.live.get_mut(gid) else { return };
        let (before, bytes_before) = (live_transaction.rest, live_transaction.bytes);
        let bytes = live_transaction.count_bytes();
        self.live_bytes = self.live_bytes - bytes_before + bytes;
        live_transaction.rest = match (live_transaction.only_waits(), before) {
            (true, Rest::Needed) => Rest::OnlyWaits(now.mono),
            (true, Rest::OnlyWaits(_) | Rest::Leaves(_)) => before,
            (false, Rest::Needed | Rest::OnlyWaits(_) | Rest::Leaves(_)) => Rest::Needed,
        };
        let after = live_transaction.rest;
        self.unindex_rest(gid, before, bytes_before);
        match after {
            Rest::Needed => {}
            Rest::OnlyWaits(since) => {
                self.only_wait.insert((since, gid.clone()));
                self.only_wait_bytes += bytes;
            }
            Rest::Leaves(seq) => {
                self.leaving_to_rest.insert((seq, gid.clone()));
            }
        }
    }

    pub(in crate::engine) fn unindex_rest(&mut self, gid: &Gid, rest: Rest, bytes: usize) {
        match rest {
            Rest::Needed => {}
            Rest::OnlyWaits(since) => {
                if self.only_wait.remove(&(since, gid.clone())) {
                    self.only_wait_bytes -= bytes;
                }
            }
            Rest::Leaves(seq) => {
                self.leaving_to_rest.remove(&(seq, gid.clone()));
            }
        }
    }

    /// Those that have only waited longest leave memory while there are too many; a page comes
    /// back when there is room or it is time.
    pub(in crate::engine) fn rest_and_return(&mut self, now: Now, output: &mut Output) {
        let settings = &self.settings;
        let (most, most_bytes) =
            (settings.in_memory_waiting_transactions, settings.in_memory_waiting_bytes);
        while self.only_wait.len() > most || self.only_wait_bytes > most_bytes {
            let Some((_, gid)) = self.only_wait.first().cloned() else { break };
            self.leave_to_rest(&gid, now, output);
        }
        if !self.resting.waits_for_its_turn() {
            return;
        }
        let (room, due) = (self.has_room_to_return(), now.mono >= self.resting.next_turn);
        // A new round waits for its time: what is being read already would else be swept over
        // again and again.
        let goes_on = self.resting.reached.is_some() && (room || self.is_called_back());
        if due || goes_on {
            self.resting.asked = true;
            self.resting.in_passing = !due && !room;
            if !self.resting.in_passing {
                self.resting.next_turn = now.mono.after(TURN);
            }
            output.sweep = Some(PageRequest { after: self.resting.reached.clone() });
        }
    }

    fn has_room_to_return(&self) -> bool {
        self.only_wait.len() < self.settings.in_memory_waiting_transactions.div_ceil(2)
            && self.only_wait_bytes < self.settings.in_memory_waiting_bytes.div_ceil(2)
            && self.live.len() < self.settings.live_transactions
    }

    /// Writes what the rows do not say yet; the transaction leaves once that is durable, if
    /// nothing has happened to it by then.
    fn leave_to_rest(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        self.change(gid, now, output, |transaction, step| {
            transaction.write_all_that_is_known(step);
        });
        let Some(live_transaction) = self.live.get_mut(gid) else { return };
        let (before, bytes) = (live_transaction.rest, live_transaction.bytes);
        live_transaction.rest = Rest::Leaves(live_transaction.release_after);
        self.unindex_rest(gid, before, bytes);
        self.attend(gid, now, output);
        if self
            .live
            .get(gid)
            .is_some_and(|live_transaction| live_transaction.release_after <= self.durable)
        {
            self.rest(gid);
        }
    }

    /// What was to leave and is durable now, leaves.
    pub(in crate::engine) fn rest_what_is_durable(&mut self, durable: Seq, now: Now) {
        while let Some((needs, gid)) = self.leaving_to_rest.first().cloned() {
            if needs > durable {
                break;
            }
            self.leaving_to_rest.remove(&(needs, gid.clone()));
            let unchanged = |live_transaction: &LiveTransaction| {
                live_transaction.release_after == needs
                    && !live_transaction.transaction.knows_more_than_its_rows()
            };
            if self.live.get(&gid).is_some_and(unchanged) {
                self.rest(&gid);
            } else if let Some(live_transaction) = self.live.get_mut(&gid) {
                live_transaction.rest = Rest::Needed;
                self.index_rest(&gid, now);
            }
        }
    }

    fn rest(&mut self, gid: &Gid) {
        let leaves = |live_transaction: &LiveTransaction| {
            matches!(live_transaction.rest, Rest::Leaves(_)) && live_transaction.only_waits()
        };
        if !self.live.get(gid).is_some_and(leaves) {
            return;
        }
        if let Some(live_transaction) = self.forget(gid) {
            let transaction = &live_transaction.transaction;
            let parked = transaction.branches().iter().filter(|branch| branch.is_parked());
            let created_at = transaction.spec().created_at;
            self.resting.add(transaction.status(), created_at, parked.count());
            self.resting.pauses.remember(transaction);
        }
    }

    /// A transaction found at start-up for which memory has no room.
    pub(in crate::engine) fn rests_already(&mut self, stored: &StoredTransaction) {
        self.resting.add(stored.status, stored.spec.created_at, parked_branches(stored));
    }

    /// One of those that rest is read again.
    pub(in crate::engine) fn rests_no_more(&mut self, stored: &StoredTransaction) {
        if stored.status.is_decided() && !stored.status.is_finished() {
            self.resting.remove(stored.status, parked_branches(stored));
        }
    }

    /// A page of those that rest: those that are not here are read.
    pub(in crate::engine) fn page_of_gids(
        &mut self,
        gids: Vec<Gid>,
        now: Now,
        output: &mut Output,
    ) {
        self.resting.asked = false;
        if gids.is_empty() {
            // Once round. What was counted and is nowhere was finished by somebody else, or is
            // not to be read.
            if self.resting.reached.take().is_none() || !self.resting.found {
                self.resting = Paged { next_turn: self.resting.next_turn, ..Paged::default() };
            }
            self.resting.found = false;
            self.resting.healed.retain(|_, ends| {
                *ends -= 1;
                *ends > 0
            });
            return;
        }
        let looks_at_all = self.has_room_to_return() || self.resting.in_passing;
        self.resting.reached = gids.last().cloned();
        let due = Some(now.mono.after(self.settings.load_within));
        for gid in gids {
            if let Some(live_transaction) = self.live.get(&gid) {
                // Until it is durable it may turn out that the gid is taken, by what rests.
                self.resting.found |= live_transaction.release_after > self.durable;
                continue;
            }
            if self.unreadable.contains(&gid) {
                continue;
            }
            self.resting.found = true;
            // Somebody asked for it. If that load fails, it still rests.
            if self.loading.contains_key(&gid) {
                continue;
            }
            // It would only be in the way here.
            if !looks_at_all && self.resting.pauses.are_on(&gid, now.mono) {
                continue;
            }
            self.resting.loads += 1;
            let loading = Loading { due, requests: Vec::new(), from_rest: true };
            self.load(&gid, loading, output);
        }
    }

    /// A load of such a page was answered, however.
    pub(in crate::engine) fn page_load_answered(&mut self) {
        self.resting.loads = self.resting.loads.saturating_sub(1);
    }
}

fn parked_branches(stored: &StoredTransaction) -> usize {
    stored.branch_records.iter().filter(|outcome| outcome.parked).count()
}
