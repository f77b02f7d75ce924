//! Jobs, over rows in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use tercet_engine::{Batch, Change, JobRevision, JobWrite, Tick};
use tercet_wire::{ActId, Gid, JobStage, Wall};

use super::as_count;
use crate::store::{CommitError, JobsDue, JobsKept};
use crate::stored_job::{JobCounts, StoredJob};

/// All of them, and to what they have come.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    revisions: BTreeMap<ActId, Vec<JobRevision>>,
    ticks: BTreeMap<(ActId, u32), Tick>,
}

impl Jobs {
    /// Whether what a batch has of them may be written: each revision and each tick is there once.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), CommitError> {
        for revision in revisions(batch) {
            let of_it = self.revisions.get(&revision.id).into_iter().flatten();
            if of_it.into_iter().any(|there| there.revision == revision.revision) {
                let why = format!("{} has revision {}", revision.id, revision.revision);
                return Err(CommitError::Rejected(why));
            }
        }
        for tick in ticks(batch) {
            if self.has_come_to(tick.job, &tick.gid) {
                let why = format!("{} has come to {}", tick.job, tick.gid);
                return Err(CommitError::Rejected(why));
            }
        }
        Ok(())
    }

    pub(super) fn add(&mut self, batch: &Batch) {
        for revision in revisions(batch) {
            let of_it = self.revisions.entry(revision.id).or_default();
            of_it.push(revision.clone());
            of_it.sort_by_key(|revision| revision.revision);
        }
        for tick in ticks(batch) {
            self.ticks.insert((tick.job, tick.number), tick.clone());
        }
    }

    /// Those that have come to a transaction, by id.
    pub(super) fn come_to_one(&self, gid: &Gid) -> Vec<ActId> {
        let of_it = self.ticks.values().filter(|tick| tick.gid == *gid);
        of_it.map(|tick| tick.job).collect()
    }

    fn has_come_to(&self, job: ActId, gid: &Gid) -> bool {
        self.of(job).any(|tick| tick.gid == *gid)
    }

    fn of(&self, job: ActId) -> impl Iterator<Item = &Tick> {
        self.ticks.range((job, 0)..=(job, u32::MAX)).map(|(_, tick)| tick)
    }

    pub(super) fn one(&self, id: ActId) -> Option<StoredJob> {
        let of_it = self.revisions.get(&id)?;
        Some(StoredJob { first: of_it.first()?.clone(), newest: of_it.last()?.clone() })
    }

    pub(super) fn page(&self, before: Option<ActId>, limit: u32) -> Vec<StoredJob> {
        let to = before.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.revisions.range((Bound::Unbounded, to)).rev().map(|(id, _)| *id);
        ids.filter_map(|id| self.one(id)).take(as_count(limit)).collect()
    }

    pub(super) fn unfinished(&self) -> Vec<JobRevision> {
        let newest = self.revisions.values().filter_map(|of_it| of_it.last());
        newest.filter(|newest| !newest.stage.is_over()).cloned().collect()
    }

    pub(super) fn found_after(&self, id: ActId, revision: u32) -> Option<JobRevision> {
        let found = |it: &&JobRevision| {
            it.revision > revision && it.stage == JobStage::Matching && it.document.is_some()
        };
        self.revisions.get(&id)?.iter().find(found).cloned()
    }

    pub(super) fn counts(&self, id: ActId) -> JobCounts {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        JobCounts {
            come_to: count(self.of(id).count()),
            failed: count(self.of(id).filter(|tick| tick.code.is_some()).count()),
        }
    }

    pub(super) fn come_to(&self, id: ActId, (from, to): (u32, u32)) -> Vec<u32> {
        self.ticks.range((id, from)..=(id, to)).map(|((_, number), _)| *number).collect()
    }

    pub(super) fn failures(&self, id: ActId, limit: u32) -> Vec<Tick> {
        let failed = self.of(id).filter(|tick| tick.code.is_some());
        failed.take(as_count(limit)).cloned().collect()
    }

    pub(super) fn due(&self, kept: &JobsKept, most: u32) -> JobsDue {
        let ended = || {
            let newest = self.revisions.values().filter_map(|of_it| of_it.last());
            newest.filter(|newest| newest.stage.is_over())
        };
        let long_ended = || ended().filter(|newest| newest.at < kept.ticks_before);
        for job in long_ended() {
            let last = self.of(job.id).take(as_count(most)).last();
            if let Some(up_to) = last.and_then(|tick| i32::try_from(tick.number).ok()) {
                return JobsDue::Ticks { job: job.id.to_string(), up_to };
            }
        }
        for job in long_ended() {
            let of_it = self.revisions.get(&job.id).into_iter().flatten();
            let found = of_it.into_iter().find(|it| it.stage == JobStage::Matching);
            if let Some(revision) = found.and_then(|it| i32::try_from(it.revision).ok()) {
                return JobsDue::Found { job: job.id.to_string(), revision };
            }
        }
        let beyond = ended().count().saturating_sub(kept.jobs);
        let old = ended().enumerate().filter(|(place, job)| {
            (*place < beyond && job.at < kept.ticks_before)
                || job.at < kept.before.min(kept.ticks_before)
        });
        let old: Vec<(String, Wall)> =
            old.map(|(_, job)| (job.id.to_string(), job.at)).take(as_count(most)).collect();
        match old.first() {
            None => JobsDue::Nothing,
            Some(_) => JobsDue::Jobs {
                oldest: old.iter().map(|(_, at)| *at).min(),
                ids: old.into_iter().map(|(id, _)| id).collect(),
            },
        }
    }

    pub(super) fn purge(&mut self, due: &JobsDue) {
        let is = |id: &ActId, text: &str| id.to_string() == text;
        match due {
            JobsDue::Nothing => {}
            JobsDue::Ticks { job, up_to } => {
                let up_to = u32::try_from(*up_to).unwrap_or_default();
                self.ticks.retain(|(id, number), _| !is(id, job) || *number > up_to);
            }
            JobsDue::Found { job, .. } => {
                for (id, of_it) in &mut self.revisions {
                    if is(id, job) {
                        of_it.retain(|it| it.stage != JobStage::Matching);
                    }
                }
            }
            JobsDue::Jobs { ids, .. } => {
                self.revisions.retain(|id, _| !ids.iter().any(|gone| is(id, gone)));
            }
        }
    }
}

fn revisions(batch: &Batch) -> impl Iterator<Item = &JobRevision> {
    batch.acts.iter().filter_map(|alone| match &alone.job {
        Some(JobWrite::Revision(revision)) => Some(revision),
        Some(JobWrite::Ticks(_)) | None => None,
    })
}

fn ticks(batch: &Batch) -> impl Iterator<Item = &Tick> {
    let of_transactions = batch.records.iter().filter_map(|record| match &record.change {
        Change::Ticked(ticked) => Some(&ticked.tick),
        _ => None,
    });
    of_transactions.chain(alone(batch))
}

/// Those that come with no transaction's record.
pub(super) fn alone(batch: &Batch) -> impl Iterator<Item = &Tick> {
    batch.acts.iter().flat_map(|alone| match &alone.job {
        Some(JobWrite::Ticks(ticks)) => ticks.as_slice(),
        Some(JobWrite::Revision(_)) | None => &[],
    })
}
