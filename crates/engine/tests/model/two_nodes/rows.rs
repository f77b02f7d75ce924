//! What both nodes write to: the rows of lives and of transactions, each statement done at once and
//! whole. Who may write says the real `Lives`; whether that was right is looked at without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tercet_engine::{
    Batch, Change, Chunk, Committed, Judgement, LifeState, Lives, Load, Record, StoredTransaction,
    Submitted, TransactionKey, invariants::decision_is_final, judge,
};
use tercet_wire::{Gid, Incarnation};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rows {
    pub(super) lives: Lives,
    pub(super) transactions: BTreeMap<Gid, StoredTransaction>,
    /// Lives that were marked, whatever their rows say by now.
    over: BTreeSet<Incarnation>,
    /// Whether a transaction was taken over.
    pub(super) have_changed_hands: bool,
}

impl Rows {
    pub(super) fn get(&self, gid: &Gid) -> Option<&StoredTransaction> {
        self.transactions.get(gid)
    }

    pub(super) fn is_over(&self, life: Incarnation) -> bool {
        self.over.contains(&life)
    }

    pub(super) fn load(&self, own: Incarnation, gid: &Gid) -> Load {
        self.get(gid).map_or(Load::Nothing, |stored| Load::of(stored.clone(), own))
    }

    pub(super) fn mark(&mut self, dead: Incarnation, seen: i64) -> bool {
        let marked = self.lives.mark_fenced(dead, seen);
        if marked {
            self.over.insert(dead);
        }
        marked
    }

    /// What a dead life drove, by gid.
    pub(super) fn owned_by(
        &self,
        dead: Incarnation,
        undecided: bool,
        after: Option<&Gid>,
    ) -> Vec<Gid> {
        let owned = self.transactions.iter().filter(|(_, stored)| stored.owner == Some(dead));
        let wanted = owned.filter(|(gid, stored)| {
            after.is_none_or(|after| *gid > after) && !(undecided && stored.status.is_decided())
        });
        wanted.map(|(gid, _)| gid.clone()).collect()
    }

    pub(super) fn remove(&mut self, dead: Incarnation) -> bool {
        let owns_any = self.transactions.values().any(|stored| stored.owner == Some(dead));
        self.lives.remove(dead, owns_any)
    }

    /// Makes a submission durable, or finds that it is, or that its life may not.
    ///
    /// # Errors
    /// A promise was broken.
    pub(super) fn commit(
        &mut self,
        own: Incarnation,
        submitted: &Submitted,
    ) -> Result<Committed, String> {
        let number = submitted.number();
        if !self.lives.fence(own, number) {
            return match judge(self.lives.get(own), number, false) {
                Judgement::Written => Ok(self.as_written(own, submitted)),
                Judgement::Again => Ok(Committed::Again { why: "the look was old".to_owned() }),
                Judgement::Fenced => Ok(Committed::Fenced),
                Judgement::LostWrites => Err(format!("{own:?} has lost writes")),
            };
        }
        if self.is_over(own) {
            return Err(format!("{own:?} has written although it was fenced"));
        }
        match submitted {
            Submitted::Batch(batch) => self.write(own, batch),
            Submitted::Chunk(chunk) => self.take_over(own, chunk),
            Submitted::Leave(_) => Err("nobody leaves here".to_owned()),
        }
    }

    fn write(&mut self, own: Incarnation, batch: &Batch) -> Result<Committed, String> {
        let mut taken = Vec::new();
        for record in &batch.records {
            match (self.transactions.get_mut(&record.gid), &record.change) {
                (None, Change::Begun(spec)) => {
                    let begun = StoredTransaction::begun(Arc::clone(spec));
                    let begun = StoredTransaction { owner: Some(own), ..begun };
                    self.transactions.insert(record.gid.clone(), begun);
                }
                (Some(stored), _) if stored.spec.instance != record.instance => {
                    taken.push(TransactionKey::of(record));
                }
                (None, change) => return Err(format!("written before begun: {change:?}")),
                (Some(stored), _) => change(own, stored, record)?,
            }
        }
        Ok(Committed::Durable { taken })
    }

    fn take_over(&mut self, own: Incarnation, chunk: &Chunk) -> Result<Committed, String> {
        let is_live = self.lives.get(chunk.dead).is_some_and(|row| row.state == LifeState::Live);
        if is_live || !self.is_over(chunk.dead) {
            return Err(format!("{own:?} takes from {:?}, which is not over", chunk.dead));
        }
        for gid in &chunk.gids {
            let stored = self.transactions.get_mut(gid);
            if let Some(stored) = stored.filter(|stored| stored.owner == Some(chunk.dead)) {
                stored.owner = Some(own);
                self.have_changed_hands = true;
            }
        }
        Ok(Committed::TakenOver { gids: self.mine(own, &chunk.gids) })
    }

    fn mine(&self, own: Incarnation, gids: &[Gid]) -> Vec<Gid> {
        let is_mine = |gid: &&Gid| self.get(gid).is_some_and(|stored| stored.owner == Some(own));
        gids.iter().filter(is_mine).cloned().collect()
    }

    /// What a submission that had happened before is answered.
    fn as_written(&self, own: Incarnation, submitted: &Submitted) -> Committed {
        if let Submitted::Chunk(chunk) = submitted {
            return Committed::TakenOver { gids: self.mine(own, &chunk.gids) };
        }
        let begun = submitted.records().iter().filter(|it| matches!(it.change, Change::Begun(_)));
        let taken = begun.filter(|record| {
            self.get(&record.gid).is_some_and(|stored| stored.spec.instance != record.instance)
        });
        Committed::Durable { taken: taken.map(TransactionKey::of).collect() }
    }
}

/// One change of what is there.
fn change(own: Incarnation, stored: &mut StoredTransaction, record: &Record) -> Result<(), String> {
    let before = stored.clone();
    stored.is_driven_by(own).map_err(|misfit| misfit.to_string())?;
    stored.apply(&record.change).map_err(|misfit| misfit.to_string())?;
    decision_is_final(&before, stored).map_err(|broken| broken.to_string())
}
