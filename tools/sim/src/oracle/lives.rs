//! Of several nodes one drives each transaction, and a life that is over writes nothing: seen from
//! the rows alone, by who wrote what when.

use std::collections::{BTreeMap, BTreeSet};

use tercet_engine::{LifeRow, LifeState, Submitted};
use tercet_wire::{Gid, Status};

use crate::coverage::Together;
use crate::rows::{Changed, Committed, Rows, incarnation, life_of};
use crate::scheduler::Scheduler;

/// Who wrote, and who may not any more.
#[derive(Debug, Default)]
pub(crate) struct LivesSeen {
    /// Lives that were marked, or have left.
    over: BTreeMap<u64, LifeState>,
    /// Commits so far, of all lives.
    commits: u64,
    /// Of each life its last two commits.
    last: BTreeMap<u64, (u64, u64)>,
    /// Who wrote last of each transaction, or took it over.
    drivers: BTreeMap<Gid, u64>,
    /// What was taken over at least once.
    taken: BTreeSet<Gid>,
}

impl LivesSeen {
    /// A submission has happened.
    pub(super) fn committed(
        &mut self,
        life: u64,
        submitted: &Submitted,
        committed: &Committed,
        scheduler: &mut Scheduler,
    ) {
        if committed.happened {
            if !committed.gids.is_empty() {
                scheduler.saw(Together::ChunkHappenedUntold);
            }
            return;
        }
        if let Some(state) = self.over.get(&life) {
            scheduler.broke(format!("life {life} has written although it was {}", state.as_str()));
        }
        self.commits += 1;
        let (last, _) = self.last.get(&life).copied().unwrap_or_default();
        self.last.insert(life, (self.commits, last));
        match submitted {
            Submitted::Batch(_) => {}
            Submitted::Leave(_) => {
                scheduler.saw(Together::Left);
                self.over.insert(life, LifeState::Left);
            }
            Submitted::Chunk(chunk) => {
                if !self.over.contains_key(&life_of(chunk.dead)) {
                    let dead = chunk.dead.0;
                    scheduler
                        .broke(format!("what life {dead} drives was taken, and it is not over"));
                }
                if self.over.get(&life_of(chunk.dead)) == Some(&LifeState::Left)
                    && !committed.gids.is_empty()
                {
                    scheduler.saw(Together::TookFromWhoLeft);
                }
            }
        }
        if committed
            .taken
            .iter()
            .any(|key| self.drivers.get(&key.gid).is_some_and(|it| *it != life))
        {
            scheduler.saw(Together::TwoBeganOneGid);
        }
        for gid in &committed.gids {
            self.drivers.insert(gid.clone(), life);
            if !self.taken.insert(gid.clone()) {
                scheduler.saw(Together::TakenOverInTurn);
            }
        }
    }

    /// A batch of this life changed a transaction's rows.
    pub(super) fn written(&mut self, life: u64, changed: &Changed, scheduler: &mut Scheduler) {
        let gid = &changed.after.spec.gid;
        let owner = changed.before.as_ref().and_then(|before| before.owner);
        if scheduler.is_cluster() && owner.is_some_and(|owner| owner != incarnation(life)) {
            scheduler.broke(format!("life {life} wrote of {gid}, which {owner:?} drives"));
        }
        let had = changed.before.as_ref().map_or(0, |before| before.history.len());
        let new = changed.after.history.get(had..).unwrap_or_default();
        if new.iter().any(|line| line.kind == tercet_wire::EventKind::TakenOver) {
            scheduler.saw(Together::HistoryTold);
        }
        self.drivers.insert(gid.clone(), life);
    }

    /// The marker of a life was tried on another one's row, which was so before.
    pub(crate) fn marked(
        &mut self,
        by: u64,
        row: Option<&LifeRow>,
        seen: i64,
        marked: bool,
        scheduler: &mut Scheduler,
    ) {
        let Some(row) = row else { return };
        let dead = life_of(row.incarnation);
        if !marked {
            return scheduler.saw(match row.state {
                LifeState::Live => Together::FoundItMoved,
                LifeState::Left | LifeState::Fenced => Together::FoundItMarked,
            });
        }
        if row.batch_no != seen {
            scheduler.broke(format!("life {dead} was fenced although it had given a sign of life"));
        }
        // What it was silent for is time in which others could write: a second at most for each
        // of the marker's own batches.
        let (_, second_last) = self.last.get(&by).copied().unwrap_or_default();
        let (last, _) = self.last.get(&dead).copied().unwrap_or_default();
        let is_namesake = scheduler.home(by) == scheduler.home(dead);
        if second_last < last && !is_namesake {
            scheduler
                .broke(format!("life {dead} was fenced in a time in which nobody could write"));
        }
        scheduler.saw(Together::Marked);
        self.over.insert(dead, LifeState::Fenced);
    }

    /// Whether somebody else drives a transaction, as far as the rows say.
    pub(crate) fn is_anothers(&self, gid: &Gid, life: u64, rows: &Rows) -> bool {
        let owner = rows.get(gid).and_then(|stored| stored.owner);
        let driver = owner.map(life_of).or_else(|| self.drivers.get(gid).copied());
        driver.is_some_and(|driver| driver != life)
    }

    /// Whether this life may write no more.
    pub(super) fn is_over(&self, life: u64) -> bool {
        self.over.contains_key(&life)
    }
}

/// What was taken over as it stood.
pub(super) fn took(status: Status) -> Option<Together> {
    match status {
        Status::Trying => Some(Together::TookUndecided),
        Status::Confirming => Some(Together::TookConfirming),
        Status::Cancelling => Some(Together::TookCancelling),
        Status::Confirmed | Status::Cancelled => None,
    }
}
