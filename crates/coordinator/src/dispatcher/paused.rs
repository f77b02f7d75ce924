//! Participants that nobody calls, since an operator has paused them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::metrics::ParticipantMetrics;

/// Who is not called, by `host:port`; each is counted for as long.
#[derive(Default)]
pub(super) struct PausedParticipants {
    all: RwLock<BTreeMap<String, Arc<ParticipantMetrics>>>,
    /// Whether there are any: asked for each call.
    are_any: AtomicBool,
}

impl PausedParticipants {
    /// From now on these, and no others.
    pub(super) fn set(
        &self,
        participants: BTreeSet<String>,
        metrics: impl Fn(&str) -> Arc<ParticipantMetrics>,
    ) {
        let are_any = !participants.is_empty();
        // Nothing in here panics half-way, so a poisoned map is a whole one.
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *all);
        for participant in participants {
            let counted = before.remove(&participant).unwrap_or_else(|| {
                let counted = metrics(&participant);
                counted.paused();
                counted
            });
            all.insert(participant, counted);
        }
        before.into_values().for_each(|counted| counted.resumed());
        self.are_any.store(are_any, Ordering::Release);
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, participant: &str) -> bool {
        self.are_any.load(Ordering::Acquire)
            && self.all.read().unwrap_or_else(PoisonError::into_inner).contains_key(participant)
    }
}

impl Drop for PausedParticipants {
    fn drop(&mut self) {
        // The next life counts its own.
        let all = self.all.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(all).into_values().for_each(|counted| counted.resumed());
    }
}

impl fmt::Debug for PausedParticipants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(all.keys()).finish()
    }
}
