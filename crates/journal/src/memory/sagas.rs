//! Definitions of sagas, over rows in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use tercet_engine::{Batch, SagaRevision};
use tercet_wire::SagaName;

use super::as_count;
use crate::store::CommitError;
use crate::stored_saga::{ListedSaga, StoredSaga};

/// All of them, by name and revision.
#[derive(Debug, Default)]
pub(super) struct Sagas {
    revisions: BTreeMap<SagaName, Vec<SagaRevision>>,
}

impl Sagas {
    /// Whether what a batch has of them may be written: of a name's revisions each is there once.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), CommitError> {
        for revision in revisions(batch) {
            let of_it = self.revisions.get(&revision.name).into_iter().flatten();
            if of_it.into_iter().any(|there| there.revision == revision.revision) {
                let why = format!("{} has revision {}", revision.name, revision.revision);
                return Err(CommitError::Rejected(why));
            }
        }
        Ok(())
    }

    pub(super) fn add(&mut self, batch: &Batch) {
        for revision in revisions(batch) {
            let of_it = self.revisions.entry(revision.name.clone()).or_default();
            of_it.push(revision.clone());
            of_it.sort_by_key(|revision| revision.revision);
        }
    }

    pub(super) fn one(&self, name: &SagaName, version: Option<u32>) -> Option<StoredSaga> {
        let of_it = self.revisions.get(name)?;
        let newest = of_it.last()?.clone();
        let wanted = version.unwrap_or(newest.version);
        let put = |revision: &&SagaRevision| revision.version == wanted && !revision.retires();
        let found = of_it.iter().find(put).cloned();
        let retired = of_it.iter().find(|it| it.retires() && it.version >= wanted);
        let retired_at = retired.filter(|_| found.is_some()).map(|retired| retired.at);
        Some(StoredSaga { newest, found, retired_at })
    }

    pub(super) fn page(&self, after: Option<&SagaName>, limit: u32) -> Vec<ListedSaga> {
        let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.clone()));
        let names = self.revisions.range((from, Bound::Unbounded)).map(|(_, of_it)| of_it);
        let newest = names.filter_map(|of_it| of_it.last()).take(as_count(limit));
        let listed = newest.map(|newest| ListedSaga {
            name: newest.name.clone(),
            version: newest.version,
            at: newest.at,
            retired: newest.retires(),
        });
        listed.collect()
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.revisions.len()).unwrap_or(u64::MAX)
    }
}

fn revisions(batch: &Batch) -> impl Iterator<Item = &SagaRevision> {
    batch.acts.iter().filter_map(|alone| alone.revision.as_ref())
}
