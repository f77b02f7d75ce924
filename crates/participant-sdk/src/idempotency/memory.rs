//! Keys and answers in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::KeptAnswer;
use super::store::{Claim, Request, Terms};

/// A bounded map of keys.
#[derive(Debug, Clone)]
pub(super) struct MemoryKeys {
    entries: Arc<Mutex<HashMap<String, Entry>>>,
    limit: usize,
}

#[derive(Debug)]
struct Entry {
    fingerprint: String,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Running { owner: i64, lease_until_ms: i64 },
    Done { answer: Option<KeptAnswer>, keep_until_ms: i64 },
}

impl Entry {
    /// Whether it still means anything.
    fn is_live(&self, now_ms: i64) -> bool {
        match self.progress {
            Progress::Running { lease_until_ms: until, .. }
            | Progress::Done { keep_until_ms: until, .. } => now_ms < until,
        }
    }
}

impl MemoryKeys {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: Arc::default(), limit }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn claim(&self, request: &Request, terms: Terms, now_ms: i64) -> Claim {
        let mut entries = self.entries();
        if let Some(known) = entries.get(&request.key).filter(|known| known.is_live(now_ms)) {
            return match &known.progress {
                _ if known.fingerprint != request.fingerprint => Claim::OtherRequest,
                Progress::Running { .. } => Claim::Running,
                Progress::Done { answer, .. } => Claim::Done(answer.clone()),
            };
        }
        if !entries.contains_key(&request.key) && entries.len() >= self.limit {
            make_room(&mut entries, self.limit.saturating_sub(1), now_ms);
            if entries.len() >= self.limit {
                return Claim::Full;
            }
        }
        let progress = Progress::Running {
            owner: request.owner,
            lease_until_ms: terms.lease_until_ms(now_ms),
        };
        let entry = Entry { fingerprint: request.fingerprint.clone(), progress };
        entries.insert(request.key.clone(), entry);
        Claim::Run
    }

    pub(super) fn renew(&self, request: &Request, until_ms: i64) {
        if let Some(entry) = self.entries().get_mut(&request.key)
            && let Progress::Running { owner, lease_until_ms } = &mut entry.progress
            && *owner == request.owner
        {
            *lease_until_ms = until_ms;
        }
    }

    pub(super) fn finish(
        &self,
        request: &Request,
        answer: Option<KeptAnswer>,
        keep_until_ms: i64,
    ) -> bool {
        let mut entries = self.entries();
        let ours = entries.get_mut(&request.key).filter(|entry| runs(entry, request));
        let Some(entry) = ours else { return false };
        entry.progress = Progress::Done { answer, keep_until_ms };
        true
    }

    pub(super) fn release(&self, request: &Request) {
        let mut entries = self.entries();
        if entries.get(&request.key).is_some_and(|entry| runs(entry, request)) {
            entries.remove(&request.key);
        }
    }

    pub(super) fn purge(&self, keys: usize, now_ms: i64) -> u64 {
        let mut entries = self.entries();
        let before = entries.len();
        make_room(&mut entries, keys, now_ms);
        (before - entries.len()) as u64
    }
}

/// Whether it is this very run of the handler that the entry waits for.
fn runs(entry: &Entry, request: &Request) -> bool {
    matches!(entry.progress, Progress::Running { owner, .. } if owner == request.owner)
}

/// Drops what means nothing any more, and then the oldest answers until `keys` are left. What is
/// running stays. An eighth goes at once, so that a full map is not searched for every key.
fn make_room(entries: &mut HashMap<String, Entry>, keys: usize, now_ms: i64) {
    entries.retain(|_, entry| entry.is_live(now_ms));
    let Some(excess) = entries.len().checked_sub(keys).filter(|excess| *excess > 0) else {
        return;
    };
    let mut done: Vec<(i64, String)> = entries
        .iter()
        .filter_map(|(key, entry)| match entry.progress {
            Progress::Done { keep_until_ms, .. } => Some((keep_until_ms, key.clone())),
            Progress::Running { .. } => None,
        })
        .collect();
    done.sort_unstable();
    for (_, key) in done.into_iter().take(excess.max(keys / 8)) {
        entries.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TERMS: Terms =
        Terms { lease: Duration::from_millis(10), keep: Duration::from_millis(100) };

    fn request(key: &str, owner: i64) -> Request {
        Request { key: key.to_owned(), fingerprint: "f".to_owned(), owner }
    }

    fn done(keys: &MemoryKeys, key: &str, owner: i64, now_ms: i64) {
        assert_eq!(keys.claim(&request(key, owner), TERMS, now_ms), Claim::Run, "{key}");
        assert!(keys.finish(&request(key, owner), None, TERMS.keep_until_ms(now_ms)), "{key}");
    }

    #[test]
    fn a_lease_runs_out_unless_it_is_renewed_and_who_lost_it_has_no_say() {
        let keys = MemoryKeys::new(9);
        assert_eq!(keys.claim(&request("a", 1), TERMS, 0), Claim::Run);
        assert_eq!(keys.claim(&request("a", 2), TERMS, 9), Claim::Running);
        keys.renew(&request("a", 1), 15);
        assert_eq!(keys.claim(&request("a", 2), TERMS, 14), Claim::Running);
        assert_eq!(keys.claim(&request("a", 2), TERMS, 15), Claim::Run);
        keys.renew(&request("a", 1), 99);
        keys.release(&request("a", 1));
        assert!(!keys.finish(&request("a", 1), None, 99));
        assert_eq!(keys.claim(&request("a", 3), TERMS, 24), Claim::Running);
        assert_eq!(keys.claim(&request("a", 3), TERMS, 25), Claim::Run);
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_no_longer() {
        let keys = MemoryKeys::new(9);
        done(&keys, "a", 1, 0);
        assert_eq!(keys.claim(&request("a", 2), TERMS, 99), Claim::Done(None));
        assert_eq!(keys.claim(&request("a", 2), TERMS, 100), Claim::Run);
    }

    /// Keeps P9.
    #[test]
    fn a_full_store_forgets_the_oldest_answer_and_nothing_that_runs() {
        let keys = MemoryKeys::new(3);
        assert_eq!(keys.claim(&request("runs", 1), TERMS, 0), Claim::Run);
        done(&keys, "old", 2, 1);
        done(&keys, "young", 3, 2);
        assert_eq!(keys.claim(&request("new", 4), TERMS, 3), Claim::Run);
        assert_eq!(keys.claim(&request("young", 5), TERMS, 3), Claim::Done(None));
        assert_eq!(keys.claim(&request("runs", 5), TERMS, 3), Claim::Running);
        assert_eq!(keys.claim(&request("newer", 6), TERMS, 3), Claim::Run);
        assert_eq!(keys.claim(&request("newest", 7), TERMS, 3), Claim::Full);
        assert_eq!(keys.entries().len(), 3);
        assert_eq!(keys.claim(&request("newest", 7), TERMS, 10), Claim::Run, "a lease ran out");
    }
}
