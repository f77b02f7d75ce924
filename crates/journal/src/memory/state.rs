//! The rows themselves. Their meaning is that of `StoredTransaction::apply`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use tercet_engine::{
    ApplyError, Batch, Change, Chunk, Judgement, Leave, LifeRow, Lives, ParticipantPause,
    StoredTransaction, TransactionKey, begins, judge,
};
use tercet_wire::{
    BranchSpec, Gid, Incarnation, ListOrder, NODE_PROTOCOL, ParticipantName, Status, Wall,
};

use super::as_count;
use super::audit::Audit;
use super::holds::Holds;
use super::jobs::Jobs;
use super::sagas::Sagas;
use crate::store::{
    CommitError, JobsDue, Keyset, Life, NOBODY, PurgeBatch, PurgeLimits, first_within,
};
use crate::summary::{Held, JournalSummary, NAMED, NodeRow};

/// All rows.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Who may write, and their last batches.
    lives: Lives,
    /// Several nodes share the rows.
    shared: bool,
    /// When the last batch was written.
    written_at: Option<Wall>,
    transactions: BTreeMap<Gid, StoredTransaction>,
    by_begin: BTreeSet<Keyset>,
    /// Finished transactions are not kept.
    live_alone: bool,
    /// Where lives listen.
    urls: BTreeMap<Incarnation, String>,
    /// What all nodes share.
    secret: Option<String>,
    audit: Audit,
    sagas: Sagas,
    pauses: BTreeMap<ParticipantName, ParticipantPause>,
    jobs: Jobs,
    holds: Holds,
}

impl State {
    /// Where there is one node every unfinished transaction becomes the new incarnation's. Returns
    /// when the earlier ones wrote last.
    pub(super) fn register(&mut self, life: &Life) -> Option<Wall> {
        let (incarnation, node_id) = (life.incarnation, life.node_id.as_str());
        self.urls.insert(incarnation, life.node_url.clone());
        if self.shared {
            self.lives.register(incarnation, node_id);
            return self.written_at;
        }
        self.lives.register_alone(incarnation, node_id);
        for stored in self.transactions.values_mut().filter(|stored| !stored.status.is_finished()) {
            stored.owner = Some(incarnation);
        }
        self.written_at
    }

    pub(super) fn urls(&self) -> Vec<(Incarnation, String)> {
        self.urls.iter().map(|(life, url)| (*life, url.clone())).collect()
    }

    pub(super) fn shared_secret(&mut self, fresh: &str) -> String {
        self.secret.get_or_insert_with(|| fresh.to_owned()).clone()
    }

    pub(super) fn secret(&self) -> Option<String> {
        self.secret.clone()
    }

    pub(super) fn audit(&self) -> &Audit {
        &self.audit
    }

    pub(super) fn pauses(&self) -> Vec<ParticipantPause> {
        self.pauses.values().filter(|pause| pause.paused).cloned().collect()
    }

    pub(super) fn holds(&self) -> &Holds {
        &self.holds
    }

    pub(super) fn sagas(&self) -> &Sagas {
        &self.sagas
    }

    pub(super) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// What jobs have come to is remembered with the transactions too.
    pub(super) fn purge_jobs(&mut self, due: &JobsDue) {
        self.jobs.purge(due);
        for (gid, stored) in &mut self.transactions {
            if !stored.jobs.is_empty() {
                stored.jobs = self.jobs.come_to_one(gid);
            }
        }
    }

    pub(super) fn audit_mut(&mut self) -> &mut Audit {
        &mut self.audit
    }

    pub(super) fn share(&mut self) {
        self.shared = true;
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    pub(super) fn forget_as_they_finish(&mut self) {
        self.live_alone = true;
    }

    pub(super) fn stored(&self, gid: &Gid) -> Option<&StoredTransaction> {
        self.transactions.get(gid)
    }

    pub(super) fn owned_by(
        &self,
        incarnation: Incarnation,
        after: Option<&Gid>,
    ) -> impl Iterator<Item = &StoredTransaction> {
        self.after(after).filter(move |stored| stored.owner == Some(incarnation))
    }

    /// What a life drives that is over, or nobody does.
    pub(super) fn driven_by(
        &self,
        dead: Incarnation,
        after: Option<&Gid>,
    ) -> impl Iterator<Item = &StoredTransaction> {
        self.after(after).filter(move |stored| driver(stored) == Some(dead))
    }

    fn after(&self, gid: Option<&Gid>) -> impl Iterator<Item = &StoredTransaction> {
        let from = gid.map_or(Bound::Unbounded, |gid| Bound::Excluded(gid.clone()));
        self.transactions.range((from, Bound::Unbounded)).map(|(_, stored)| stored)
    }

    /// Those that follow a place, the newest or the oldest first.
    pub(super) fn in_order<'a>(
        &'a self,
        order: ListOrder,
        after: Option<&Keyset>,
    ) -> Box<dyn Iterator<Item = &'a StoredTransaction> + 'a> {
        let after = after.map_or(Bound::Unbounded, |place| Bound::Excluded(place.clone()));
        let of = |place: &Keyset| self.transactions.get(&place.gid);
        match order {
            ListOrder::Newest => {
                Box::new(self.by_begin.range((Bound::Unbounded, after)).rev().filter_map(of))
            }
            ListOrder::Oldest => {
                Box::new(self.by_begin.range((after, Bound::Unbounded)).filter_map(of))
            }
        }
    }

    pub(super) fn commit(
        &mut self,
        incarnation: Incarnation,
        batch: &Batch,
    ) -> Result<Vec<TransactionKey>, CommitError> {
        if self.is_written(incarnation, batch.number, false)? {
            return Ok(self.taken_from(batch));
        }
        self.sagas.check(batch)?;
        self.jobs.check(batch)?;
        self.holds.check(batch)?;
        let mut changed: BTreeMap<Gid, StoredTransaction> = BTreeMap::new();
        let mut taken: Vec<TransactionKey> = Vec::new();
        for record in &batch.records {
            let life = TransactionKey::of(record);
            if taken.contains(&life) {
                continue;
            }
            let known = changed.get(&life.gid).or_else(|| self.transactions.get(&life.gid));
            match (&record.change, known) {
                (Change::Begun(spec), None) => {
                    begins(spec)?;
                    let stored = StoredTransaction::begun(spec.clone());
                    changed
                        .insert(life.gid, StoredTransaction { owner: Some(incarnation), ..stored });
                }
                (Change::Begun(_), Some(stored)) if stored.spec.instance != life.instance => {
                    taken.push(life);
                }
                (change, Some(stored)) if stored.spec.instance == life.instance => {
                    stored.is_driven_by(incarnation)?;
                    let mut stored = stored.clone();
                    stored.apply(change)?;
                    changed.insert(life.gid, stored);
                }
                (_, Some(_) | None) => return Err(ApplyError::Missing(life.gid).into()),
            }
        }
        for (gid, stored) in changed {
            if self.live_alone && stored.status.is_finished() {
                self.by_begin.remove(&place(&stored));
                self.transactions.remove(&gid);
            } else {
                self.by_begin.insert(place(&stored));
                self.transactions.insert(gid, stored);
            }
        }
        self.audit.add(batch, &taken);
        self.sagas.add(batch);
        for pause in batch.acts.iter().filter_map(|alone| alone.pause.as_ref()) {
            self.pauses.insert(pause.participant.clone(), pause.clone());
        }
        self.jobs.add(batch);
        for tick in super::jobs::alone(batch) {
            if let Some(stored) = self.transactions.get_mut(&tick.gid) {
                stored.jobs = self.jobs.come_to_one(&tick.gid);
            }
        }
        self.holds.add(batch);
        self.lives.fence(incarnation, batch.number);
        self.written_at = Some(batch.written_at);
        Ok(taken)
    }

    /// Whether what has this number is written; else it may be.
    fn is_written(&self, own: Incarnation, number: i64, leaves: bool) -> Result<bool, CommitError> {
        let row = self.lives.get(own);
        match judge(row, number, leaves) {
            Judgement::Written => Ok(true),
            // Nothing comes between this look and the fence.
            Judgement::Again => Ok(false),
            Judgement::Fenced | Judgement::LostWrites => {
                Err(CommitError::Fenced(format!("batch {number} meets {row:?}")))
            }
        }
    }

    pub(super) fn take_over(
        &mut self,
        own: Incarnation,
        chunk: &Chunk,
    ) -> Result<Vec<Gid>, CommitError> {
        if !self.is_written(own, chunk.number, false)? {
            for gid in &chunk.gids {
                let stored = self.transactions.get_mut(gid);
                if let Some(stored) = stored.filter(|stored| driver(stored) == Some(chunk.dead)) {
                    stored.owner = Some(own);
                }
            }
            self.lives.fence(own, chunk.number);
            self.written_at = Some(chunk.written_at);
        }
        let is_mine = |gid: &&Gid| self.stored(gid).is_some_and(|it| it.owner == Some(own));
        Ok(chunk.gids.iter().filter(is_mine).cloned().collect())
    }

    pub(super) fn leave(&mut self, own: Incarnation, leave: &Leave) -> Result<(), CommitError> {
        if !self.is_written(own, leave.number, true)? {
            self.lives.leave(own, leave.number);
            self.written_at = Some(leave.written_at);
        }
        Ok(())
    }

    pub(super) fn lives(&self) -> Vec<LifeRow> {
        self.lives.rows().cloned().collect()
    }

    pub(super) fn mark_fenced(&mut self, dead: Incarnation, seen: i64) -> bool {
        self.lives.mark_fenced(dead, seen)
    }

    pub(super) fn orphans(&self, after: Option<Incarnation>) -> Vec<Incarnation> {
        let drivers: BTreeSet<Incarnation> =
            self.transactions.values().filter_map(driver).collect();
        let is_next = |owner: &Incarnation| after.is_none_or(|after| *owner > after);
        let orphans = drivers.into_iter().filter(is_next);
        orphans.filter(|owner| self.lives.get(*owner).is_none()).collect()
    }

    pub(super) fn remove(&mut self, dead: Incarnation) -> bool {
        let owns_any = self.owned_by(dead, None).next().is_some();
        self.lives.remove(dead, owns_any)
    }

    fn taken_from(&self, batch: &Batch) -> Vec<TransactionKey> {
        let begun = batch.records.iter().filter(|record| matches!(record.change, Change::Begun(_)));
        let other = |life: &TransactionKey| {
            let stored = self.transactions.get(&life.gid);
            stored.is_some_and(|stored| stored.spec.instance != life.instance)
        };
        begun.map(TransactionKey::of).filter(other).collect()
    }

    pub(super) fn summary(&self, now: Wall) -> JournalSummary {
        let mut summary = JournalSummary::default();
        for stored in self.transactions.values() {
            *summary.by_status.entry(stored.status).or_insert(0) += 1;
            if !stored.status.is_finished() {
                summary.parked += u64::from(stored.parked);
                let created_at = stored.spec.created_at;
                let puts_off = |branch: &Arc<BranchSpec>| branch.confirm_after().is_some();
                let waits = stored.status != Status::Confirming
                    || stored.parked
                    || !stored.branches.iter().any(puts_off);
                if !waits {
                    continue;
                }
                let oldest = summary.oldest_unfinished.map_or(created_at, |at| at.min(created_at));
                summary.oldest_unfinished = Some(oldest);
            }
        }
        summary.held = self.held(now);
        summary.nodes = self.lives.rows().map(|row| self.node(row)).collect();
        summary
    }

    fn held(&self, now: Wall) -> Option<Held> {
        let change = self.holds.newest()?;
        change.held_to?;
        let mut held = Held { since: change.at, ..Held::default() };
        for stored in self.in_order(ListOrder::Oldest, None) {
            let spec = &stored.spec;
            if !change.holds(stored.status, spec.created_at) {
                continue;
            }
            let is_past = spec.deadline_at <= now;
            let is_cancelled = is_past && spec.open && spec.check().is_none();
            held.transactions += 1;
            held.open += u64::from(spec.open);
            held.past_deadline += u64::from(is_past);
            held.release_cancels += u64::from(is_cancelled);
            if is_cancelled && held.release_cancels <= NAMED {
                held.sample.push(spec.gid.clone());
            }
        }
        Some(held)
    }

    /// Memory is no database that nodes share: what they would tell each other is not kept.
    fn node(&self, row: &LifeRow) -> NodeRow {
        NodeRow {
            node_id: row.node_id.clone(),
            url: String::new(),
            incarnation: row.incarnation,
            state: row.state.as_str().to_owned(),
            owned: u64::try_from(self.owned_by(row.incarnation, None).count()).unwrap_or(u64::MAX),
            batches: u64::try_from(row.batch_no).unwrap_or(0),
            protocol: NODE_PROTOCOL,
            started_at: Wall(0),
            written_at: self.written_at,
        }
    }

    pub(super) fn count_finished(&self) -> u64 {
        let finished = self.transactions.values().filter(|stored| stored.status.is_finished());
        u64::try_from(finished.count()).unwrap_or(u64::MAX)
    }

    pub(super) fn due_for_pruning(
        &self,
        after: Option<&Keyset>,
        finished_before: Wall,
        most: PurgeLimits,
    ) -> PurgeBatch {
        let from = after.map_or(Bound::Unbounded, |place| Bound::Excluded(place.clone()));
        let walk = self.by_begin.range((from, Bound::Unbounded));
        let mut seen: Vec<&Keyset> = walk
            .take_while(|place| place.created_at < finished_before)
            .take(as_count(most.transactions))
            .collect();
        let full = seen.len() == as_count(most.transactions);
        let due = |place: &Keyset| self.finished(&place.gid, finished_before);
        let first = first_within(most.rows, seen.iter().map(|place| due(place).map_or(0, parts)));
        let more = full || first < seen.len();
        seen.truncate(first);
        let due: Vec<&StoredTransaction> =
            seen.iter().filter_map(|place| due(place)).filter(|stored| parts(stored) > 0).collect();
        PurgeBatch {
            gids: due.iter().map(|stored| stored.spec.gid.as_str().to_owned()).collect(),
            finished_before,
            oldest: due.iter().filter_map(|stored| stored.finished_at).min(),
            reached: seen.last().copied().or(after).cloned(),
            more,
        }
    }

    pub(super) fn due_for_purging(&self, finished_before: Wall, most: PurgeLimits) -> PurgeBatch {
        let by_begin = self.by_begin.iter();
        let mut due: Vec<&StoredTransaction> = by_begin
            .filter_map(|place| self.finished(&place.gid, finished_before))
            .take(as_count(most.transactions))
            .collect();
        let full = due.len() == as_count(most.transactions);
        let first = first_within(most.rows, due.iter().map(|stored| 1 + parts(stored)));
        let more = full || first < due.len();
        due.truncate(first);
        PurgeBatch {
            gids: due.iter().map(|stored| stored.spec.gid.as_str().to_owned()).collect(),
            finished_before,
            oldest: due.iter().filter_map(|stored| stored.finished_at).min(),
            reached: None,
            more,
        }
    }

    pub(super) fn prune(&mut self, due: &PurgeBatch) {
        for gid in due.gids.iter().filter_map(|gid| gid.parse().ok()) {
            if self.finished(&gid, due.finished_before).is_some()
                && let Some(stored) = self.transactions.get_mut(&gid)
            {
                stored.branches.clear();
                stored.branch_records.clear();
                stored.results.clear();
                stored.history.clear();
                stored.history_len = 0;
                Arc::make_mut(&mut stored.spec).branches.clear();
            }
        }
    }

    pub(super) fn purge(&mut self, due: &PurgeBatch) -> u64 {
        let mut forgotten = 0;
        for gid in due.gids.iter().filter_map(|gid| gid.parse().ok()) {
            if let Some(stored) = self.finished(&gid, due.finished_before) {
                let place = place(stored);
                self.by_begin.remove(&place);
                self.transactions.remove(&gid);
                forgotten += 1;
            }
        }
        forgotten
    }

    /// One that finished before a moment.
    fn finished(&self, gid: &Gid, before: Wall) -> Option<&StoredTransaction> {
        let stored = self.transactions.get(gid)?;
        stored.finished_at.is_some_and(|at| at < before).then_some(stored)
    }
}

/// Who drives it, or nobody, who should.
fn driver(stored: &StoredTransaction) -> Option<Incarnation> {
    let is_over = stored.status.is_finished();
    stored.owner.or((!is_over).then_some(NOBODY))
}

/// What stripping takes from it.
fn parts(stored: &StoredTransaction) -> u64 {
    let parts = stored.branches.len() + stored.branch_records.len();
    let parts = parts + stored.results.len() + stored.history.len();
    u64::try_from(parts).unwrap_or(u64::MAX)
}

fn place(stored: &StoredTransaction) -> Keyset {
    Keyset { created_at: stored.spec.created_at, gid: stored.spec.gid.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{record, trying};

    #[test]
    fn a_row_of_another_incarnation_is_not_changed() {
        let (mut state, own) = (State::default(), Incarnation(1));
        let life = Life {
            incarnation: own,
            node_id: "node-1".to_owned(),
            node_url: "http://127.0.0.1:7200".to_owned(),
            started_at: Wall(0),
        };
        state.register(&life);
        let spec = trying("tx-1", 1, 0);
        let batch = |number, change| Batch {
            number,
            written_at: Wall(number),
            records: vec![record(1, &spec, change)],
            acts: Vec::new(),
        };
        assert_eq!(state.commit(own, &batch(1, Change::Begun(spec.clone()))), Ok(Vec::new()));
        state.transactions.values_mut().for_each(|stored| stored.owner = Some(Incarnation(99)));
        let told = state.commit(own, &batch(2, Change::Parked(true)));
        assert!(matches!(told, Err(CommitError::Rejected(_))), "{told:?}");
        state.register(&life);
        assert_eq!(state.commit(own, &batch(1, Change::Parked(true))), Ok(Vec::new()));
    }
}
