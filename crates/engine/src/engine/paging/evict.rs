//! Who leaves memory: transactions that are decided, or open, and of which nothing is under way;
//! those first that have been so longest. Their rows are completed, and they leave once that is
//! durable, if nothing has happened to them by then.

use std::collections::BTreeSet;

use tercet_wire::{Gid, Mono, Now, Seq};

use crate::engine::Engine;
use crate::engine::output::Output;
use crate::invariants::Broken;

/// From when on those may leave that wait for nobody: before all others.
pub(in crate::engine) const ASLEEP: Mono = Mono(0);

/// The live transactions that could leave memory, and those that do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Evictions {
    /// Those that could leave, by the moment from which on.
    evictable: BTreeSet<(Mono, Gid)>,
    /// Bytes of memory that those take.
    evictable_bytes: usize,
    /// How many of them wait for nobody, and their bytes: they make room for whoever comes back.
    asleep: (usize, usize),
    /// Those that leave, by the record that must be durable before.
    leaving: BTreeSet<(Seq, Gid)>,
}

/// Whether one transaction may leave memory. The transaction carries it, and only `Evictions`
/// changes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Residence {
    stay: Stay,
    /// The bytes it is counted with.
    bytes: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Stay {
    /// It is needed here.
    #[default]
    Needed,
    /// It could leave, from this moment on.
    Evictable(Mono),
    /// It leaves once this record is durable.
    Leaves(Seq),
}

impl Evictions {
    pub(super) fn set(
        &mut self,
        gid: &Gid,
        residence: &mut Residence,
        bytes: usize,
        evictable_from: Option<Mono>,
    ) {
        let stay = match (evictable_from, residence.stay) {
            (Some(from), Stay::Needed) => Stay::Evictable(from),
            (Some(_), Stay::Evictable(_) | Stay::Leaves(_)) => residence.stay,
            (None, _) => Stay::Needed,
        };
        self.move_to(gid, residence, Residence { stay, bytes });
    }

    pub(super) fn remove(&mut self, gid: &Gid, residence: &mut Residence) {
        self.move_to(gid, residence, Residence::default());
    }

    fn move_to(&mut self, gid: &Gid, residence: &mut Residence, to: Residence) {
        if *residence == to {
            return;
        }
        match residence.stay {
            Stay::Needed => {}
            Stay::Evictable(from) => {
                self.evictable.remove(&(from, gid.clone()));
                self.evictable_bytes -= residence.bytes;
                if from == ASLEEP {
                    self.asleep = (self.asleep.0 - 1, self.asleep.1 - residence.bytes);
                }
            }
            Stay::Leaves(seq) => {
                self.leaving.remove(&(seq, gid.clone()));
            }
        }
        match to.stay {
            Stay::Needed => {}
            Stay::Evictable(from) => {
                self.evictable.insert((from, gid.clone()));
                self.evictable_bytes += to.bytes;
                if from == ASLEEP {
                    self.asleep = (self.asleep.0 + 1, self.asleep.1 + to.bytes);
                }
            }
            Stay::Leaves(seq) => {
                self.leaving.insert((seq, gid.clone()));
            }
        }
        *residence = to;
    }

    fn leave_after(&mut self, gid: &Gid, residence: &mut Residence, seq: Seq) {
        let to = Residence { stay: Stay::Leaves(seq), bytes: residence.bytes };
        self.move_to(gid, residence, to);
    }

    pub(super) fn stay(&mut self, gid: &Gid, residence: &mut Residence) {
        let to = Residence { stay: Stay::Needed, bytes: residence.bytes };
        self.move_to(gid, residence, to);
    }

    /// Drops what names a transaction that is not here. There is none, short of a fault of ours;
    /// it must not keep the loop busy for ever.
    fn drop_stray(&mut self, gid: &Gid) {
        debug_assert!(false, "{gid} is to leave memory and is not there");
        self.evictable.retain(|(_, stray)| stray != gid);
        self.leaving.retain(|(_, stray)| stray != gid);
    }

    /// How many wait for somebody.
    pub(super) fn awake(&self) -> usize {
        self.evictable.len() - self.asleep.0
    }

    /// How many are evictable or leave.
    pub(super) fn entries(&self) -> usize {
        self.evictable.len() + self.leaving.len()
    }

    /// The bytes of those.
    pub(super) fn awake_bytes(&self) -> usize {
        self.evictable_bytes - self.asleep.1
    }

    /// Who leaves first and from when on, where there are more than so many, or they take more
    /// than so much.
    fn one_too_many(&self, (most, most_bytes): (usize, usize)) -> Option<&(Mono, Gid)> {
        let too_many = self.evictable.len() > most || self.evictable_bytes > most_bytes;
        self.evictable.first().filter(|_| too_many)
    }

    /// The next of those that leave whose record is durable, and which record that is.
    fn next_to_leave(&self, durable: Seq) -> Option<(Seq, Gid)> {
        self.leaving.first().filter(|(needs, _)| *needs <= durable).cloned()
    }

    pub(super) fn agrees(
        &self,
        gid: &Gid,
        residence: &Residence,
        bytes: usize,
        evictable: bool,
    ) -> Result<(), Broken> {
        let stands = match residence.stay {
            Stay::Needed => true,
            Stay::Evictable(from) => self.evictable.contains(&(from, gid.clone())),
            Stay::Leaves(seq) => self.leaving.contains(&(seq, gid.clone())),
        };
        let why = if !stands {
            format!("{gid} says {:?} and is not there", residence.stay)
        } else if residence.stay != Stay::Needed && !evictable {
            format!("{gid} is needed here and says {:?}", residence.stay)
        } else if residence.bytes != bytes {
            format!("{gid} takes {bytes} bytes and is counted with {}", residence.bytes)
        } else {
            return Ok(());
        };
        Err(Broken::IndexDisagrees { part: "paging", why })
    }

    pub(super) fn check<'a>(
        &self,
        residences: impl Iterator<Item = &'a Residence>,
    ) -> Result<(), Broken> {
        let (mut evictable, mut bytes, mut leaving) = (0, 0, 0);
        let mut asleep = (0, 0);
        for residence in residences {
            match residence.stay {
                Stay::Needed => {}
                Stay::Evictable(from) => {
                    evictable += 1;
                    bytes += residence.bytes;
                    if from == ASLEEP {
                        asleep = (asleep.0 + 1, asleep.1 + residence.bytes);
                    }
                }
                Stay::Leaves(_) => leaving += 1,
            }
        }
        let found = (self.evictable.len(), self.evictable_bytes, self.leaving.len());
        if found == (evictable, bytes, leaving) && self.asleep == asleep {
            return Ok(());
        }
        let why = format!(
            "{evictable} are evictable with {bytes} bytes and {leaving} leave, {found:?} are known"
        );
        Err(Broken::IndexDisagrees { part: "paging", why })
    }
}

impl Engine {
    pub(super) fn evict_what_is_too_much(&mut self, now: Now, output: &mut Output) {
        let most = self.settings.most_waiting();
        while let Some((from, gid)) = self.paging.evictions.one_too_many(most)
            && *from <= now.mono
        {
            let gid = gid.clone();
            self.evict(&gid, now, output);
        }
    }

    /// When the next one of what is too much may leave.
    pub(in crate::engine) fn next_eviction(&self) -> Option<Mono> {
        self.paging.evictions.one_too_many(self.settings.most_waiting()).map(|(from, _)| *from)
    }

    /// Writes what the rows do not say yet; the transaction leaves once that is durable, if
    /// nothing has happened to it by then.
    fn evict(&mut self, gid: &Gid, now: Now, output: &mut Output) {
        self.change(gid, now, output, |transaction, step| transaction.write_untold_rows(step));
        let Some(live_transaction) = self.live.get_mut(gid) else {
            return self.paging.evictions.drop_stray(gid);
        };
        let after = live_transaction.release_after;
        self.paging.evictions.leave_after(gid, &mut live_transaction.residence, after);
        self.update(gid, now, output);
        if after <= self.durable {
            self.page_out(gid);
        }
    }

    /// Who was to leave and has all in durable rows, leaves.
    pub(in crate::engine) fn page_out_what_is_durable(&mut self, durable: Seq, now: Now) {
        while let Some((needs, gid)) = self.paging.evictions.next_to_leave(durable) {
            let Some(live_transaction) = self.live.get_mut(&gid) else {
                self.paging.evictions.drop_stray(&gid);
                continue;
            };
            let transaction = &live_transaction.transaction;
            let unchanged = live_transaction.release_after == needs
                && live_transaction.is_evictable()
                && !transaction.has_unwritten_acknowledgements();
            if unchanged {
                self.page_out(&gid);
                continue;
            }
            let (from, bytes) =
                (live_transaction.evictable_from(now), live_transaction.tally.bytes());
            let residence = &mut live_transaction.residence;
            self.paging.evictions.stay(&gid, residence);
            self.paging.evictions.set(&gid, residence, bytes, from);
        }
    }

    fn page_out(&mut self, gid: &Gid) {
        let leaves = self.live.get(gid).is_some_and(|live_transaction| {
            matches!(live_transaction.residence.stay, Stay::Leaves(_))
        });
        if !leaves {
            return;
        }
        let Some(live_transaction) = self.forget(gid) else { return };
        let transaction = &live_transaction.transaction;
        let wake = transaction.wakes_at(&self.settings.rules);
        self.paging.add(gid, transaction.status(), &transaction.waiting(), wake);
        self.paging.backoffs.remember(transaction);
    }
}
