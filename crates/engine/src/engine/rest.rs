//! What need not be in memory. A participant may be away for hours, and all that was decided
//! meanwhile waits for it. So many of those stay here; the others rest in the journal, which
//! holds all of them anyway, and come back a page at a time.
//!
//! ```text
//!              only waits, and there are too many           rows say all, durable
//!  in memory ─────────────────────────────────▶ leaves ───────────────────────────▶ rests
//!      ▲                                                                              │
//!      └── Load::Found ◀── Effect::Load ◀── Input::Swept ◀── Output::sweep ◀──────────┘
//! ```
//!
//! Pages come as fast as there is room for them, and else one now and then, in turn, so that
//! what could go on does not rest for ever behind what cannot. Where a destination answers again
//! they come at once (`called_back.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use tercet_wire::{Gid, Mono, Now, Seq, Status, Wall};

use crate::dispatch::Destination;
use crate::engine::output::{Output, Sweep};
use crate::engine::pauses::Pauses;
use crate::engine::slot::{Rest, Slot};
use crate::engine::{Engine, Loading};
use crate::stored::Stored;

/// The pause between pages while there is no room for more.
const TURN: Duration = Duration::from_millis(500);

/// What rests in the journal, as far as memory knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Resting {
    /// Whether the journal is swept: from the first that rests until a whole round finds none.
    /// What is counted decides nothing here, since some cannot be counted: rows that could not
    /// be read do not say what they are.
    pub(super) sweeping: bool,
    /// How many by status, and when the oldest of them was begun.
    by_status: BTreeMap<Status, (usize, Wall)>,
    parked_branches: usize,
    pub(super) pauses: Pauses,
    /// Destinations that answer again, and how many more ends of a round are to be reached
    /// until all that rested by then have been looked at.
    pub(super) healed: BTreeMap<Destination, u8>,
    /// Whether the page of the moment is read in passing: only for what waits for those.
    pub(super) in_passing: bool,
    /// The last gid of the last page.
    pub(super) reached: Option<Gid>,
    asked: bool,
    /// Loads of the last page that are not answered yet.
    loads: usize,
    /// When the next page is due although there is no room.
    next_turn: Mono,
    /// Whether anything was found since the first page.
    found: bool,
}

impl Resting {
    pub(super) fn count(&self) -> usize {
        self.by_status.values().map(|(count, _)| count).sum()
    }

    pub(super) fn by_status(&self) -> impl Iterator<Item = (Status, usize, Wall)> {
        self.by_status.iter().map(|(status, (count, oldest))| (*status, *count, *oldest))
    }

    pub(super) fn parked_branches(&self) -> usize {
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

    pub(super) fn due(&self) -> Option<Mono> {
        self.waits_for_its_turn().then_some(self.next_turn)
    }
}

impl Engine {
    /// Brings a transaction's place among those that could rest up to date.
    pub(super) fn index_rest(&mut self, gid: &Gid, now: Now) {
        let Some(slot) = self.live.get_mut(gid) else { return };
        let (before, bytes_before) = (slot.rest, slot.bytes);
        let bytes = slot.count_bytes();
        self.live_bytes = self.live_bytes - bytes_before + bytes;
        slot.rest = match (slot.only_waits(), before) {
            (true, Rest::Needed) => Rest::OnlyWaits(now.mono),
            (true, Rest::OnlyWaits(_) | Rest::Leaves(_)) => before,
            (false, Rest::Needed | Rest::OnlyWaits(_) | Rest::Leaves(_)) => Rest::Needed,
        };
        let after = slot.rest;
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

    pub(super) fn unindex_rest(&mut self, gid: &Gid, rest: Rest, bytes: usize) {
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
    pub(super) fn rest_and_return(&mut self, now: Now, output: &mut Output) {
        let settings = &self.settings;
        let (most, most_bytes) = (settings.waiting_transactions, settings.waiting_bytes);
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
            output.sweep = Some(Sweep { after: self.resting.reached.clone() });
        }
    }

    fn has_room_to_return(&self) -> bool {
        self.only_wait.len() < self.settings.waiting_transactions.div_ceil(2)
            && self.only_wait_bytes < self.settings.waiting_bytes.div_ceil(2)
            && self.live.len() < self.settings.live_transactions
    }

    /// Writes what the rows do not say yet; the transaction leaves once that is durable, if
    /// nothing has happened to it by then.
    fn leave_to_rest(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        self.change(gid, now, output, |transaction, step| {
            transaction.write_all_that_is_known(step);
        });
        let Some(slot) = self.live.get_mut(gid) else { return };
        let (before, bytes) = (slot.rest, slot.bytes);
        slot.rest = Rest::Leaves(slot.release_after);
        self.unindex_rest(gid, before, bytes);
        self.attend(gid, now, output);
        if self.live.get(gid).is_some_and(|slot| slot.release_after <= self.durable) {
            self.rest(gid);
        }
    }

    /// What was to leave and is durable now, leaves.
    pub(super) fn rest_what_is_durable(&mut self, durable: Seq, now: Now) {
        while let Some((needs, gid)) = self.leaving_to_rest.first().cloned() {
            if needs > durable {
                break;
            }
            self.leaving_to_rest.remove(&(needs, gid.clone()));
            let unchanged = |slot: &Slot| {
                slot.release_after == needs && !slot.transaction.knows_more_than_its_rows()
            };
            if self.live.get(&gid).is_some_and(unchanged) {
                self.rest(&gid);
            } else if let Some(slot) = self.live.get_mut(&gid) {
                slot.rest = Rest::Needed;
                self.index_rest(&gid, now);
            }
        }
    }

    fn rest(&mut self, gid: &Gid) {
        let leaves = |slot: &Slot| matches!(slot.rest, Rest::Leaves(_)) && slot.only_waits();
        if !self.live.get(gid).is_some_and(leaves) {
            return;
        }
        if let Some(slot) = self.forget(gid) {
            let transaction = &slot.transaction;
            let parked = transaction.branches().iter().filter(|branch| branch.is_parked());
            let created_at = transaction.spec().created_at;
            self.resting.add(transaction.status(), created_at, parked.count());
            self.resting.pauses.remember(transaction);
        }
    }

    /// A transaction found at start-up for which memory has no room.
    pub(super) fn rests_already(&mut self, stored: &Stored) {
        self.resting.add(stored.status, stored.spec.created_at, parked_branches(stored));
    }

    /// One of those that rest is read again.
    pub(super) fn rests_no_more(&mut self, stored: &Stored) {
        if stored.status.is_decided() && !stored.status.is_finished() {
            self.resting.remove(stored.status, parked_branches(stored));
        }
    }

    /// A page of those that rest: those that are not here are read.
    pub(super) fn swept(&mut self, gids: Vec<Gid>, now: Now, output: &mut Output) {
        self.resting.asked = false;
        if gids.is_empty() {
            // Once round. What was counted and is nowhere was finished by somebody else, or is
            // not to be read.
            if self.resting.reached.take().is_none() || !self.resting.found {
                self.resting = Resting { next_turn: self.resting.next_turn, ..Resting::default() };
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
            if let Some(slot) = self.live.get(&gid) {
                // Until it is durable it may turn out that the gid is taken, by what rests.
                self.resting.found |= slot.release_after > self.durable;
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
    pub(super) fn page_load_answered(&mut self) {
        self.resting.loads = self.resting.loads.saturating_sub(1);
    }
}

fn parked_branches(stored: &Stored) -> usize {
    stored.outcomes.iter().filter(|outcome| outcome.parked).count()
}
