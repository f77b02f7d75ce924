//! Where keys and answers are kept, and what a request may do that brings a key.

use std::time::Duration;

use tercet_wire::Wall;
use thiserror::Error;

use super::answer::KeptAnswer;
#[cfg(feature = "sea-orm")]
use super::database::DatabaseKeys;
use super::memory::MemoryKeys;

/// Where keys and answers are kept. Clones share what they keep.
#[derive(Debug, Clone)]
pub struct KeyStore(Kept);

#[derive(Debug, Clone)]
enum Kept {
    Memory(MemoryKeys),
    #[cfg(feature = "sea-orm")]
    Database(DatabaseKeys),
}

/// The store failed.
#[derive(Debug, Error)]
pub enum KeyStoreError {
    /// The database's.
    #[cfg(feature = "sea-orm")]
    #[error(transparent)]
    Database(#[from] sea_orm::DbErr),
    /// On SQLite: others were writing for as long as a request may wait.
    #[cfg(feature = "sea-orm")]
    #[error("others were writing for as long as a request may wait")]
    Busy,
    /// A row was written by somebody else.
    #[error("the kept answer of {key} cannot be read")]
    Unreadable {
        /// The key's digest.
        key: String,
    },
}

/// Who asks: the digests of key and request, the time, and a number of its own.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) key: String,
    pub(super) fingerprint: String,
    /// Tells this run of the handler from others under the same key.
    pub(super) owner: i64,
}

/// For how long what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) lease: Duration,
    pub(super) keep: Duration,
}

impl Terms {
    /// Where the clock is in doubt, others' leases are judged by the earlier time, and one's own is
    /// granted by the later: whoever has the other of both must not find it run out.
    pub(super) fn by_two_clocks(self, early: Wall, late: Wall) -> Self {
        let between = u64::try_from(late.0.saturating_sub(early.0)).unwrap_or(0);
        Self { lease: self.lease.saturating_add(Duration::from_millis(between)), ..self }
    }

    pub(super) fn lease_until_ms(self, now_ms: i64) -> i64 {
        now_ms.saturating_add(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX))
    }

    pub(super) fn keep_until_ms(self, now_ms: i64) -> i64 {
        now_ms.saturating_add(i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX))
    }
}

/// What a request may do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Run the handler: the key is yours until your lease runs out.
    Run,
    /// It was run; here is its answer, if it was not too large to keep.
    Done(Option<KeptAnswer>),
    /// It is being run.
    Running,
    /// The key was used for another request.
    OtherRequest,
    /// There is room for no more.
    Full,
}

impl KeyStore {
    /// In this process, for at most so many keys. A restart forgets them, and other processes know nothing of them: for tests, and for
    /// services that run once. When it is full the oldest answer goes.
    #[must_use]
    pub fn in_memory(keys: usize) -> Self {
        Self(Kept::Memory(MemoryKeys::new(keys)))
    }

    /// In a database (SQLite, PostgreSQL, MySQL, MariaDB), shared by all processes of a service. Call
    /// [`migrate`](Self::migrate) at every start and [`purge`](Self::purge) now and then.
    #[cfg(feature = "sea-orm")]
    #[must_use]
    pub fn in_database(db: sea_orm::DatabaseConnection) -> Self {
        Self(Kept::Database(DatabaseKeys::new(db)))
    }

    /// Creates the table `tercet_idempotency` where it is missing; nothing in memory. Safe to repeat, and for several
    /// processes at once.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(&self) -> Result<(), KeyStoreError> {
        match &self.0 {
            Kept::Memory(_) => Ok(()),
            #[cfg(feature = "sea-orm")]
            Kept::Database(keys) => keys.migrate().await,
        }
    }

    /// Deletes what has expired, and of the rest the oldest answers beyond `keys`; how many went. Expired answers are
    /// not given even if nobody purges; this is for room.
    ///
    /// # Errors
    /// The database's. What was deleted before stays deleted.
    pub async fn purge(&self, keys: u64) -> Result<u64, KeyStoreError> {
        let now_ms = crate::clock::early().0;
        match &self.0 {
            Kept::Memory(kept) => {
                Ok(kept.purge(usize::try_from(keys).unwrap_or(usize::MAX), now_ms))
            }
            #[cfg(feature = "sea-orm")]
            Kept::Database(kept) => kept.purge(keys, now_ms).await,
        }
    }

    /// Asks for the right to run the handler.
    pub(super) async fn claim(
        &self,
        request: &Request,
        terms: Terms,
        now_ms: i64,
    ) -> Result<Claim, KeyStoreError> {
        match &self.0 {
            Kept::Memory(keys) => Ok(keys.claim(request, terms, now_ms)),
            #[cfg(feature = "sea-orm")]
            Kept::Database(keys) => keys.claim(request, terms, now_ms).await,
        }
    }

    /// The handler is still running.
    pub(super) async fn renew(
        &self,
        request: &Request,
        lease_until_ms: i64,
    ) -> Result<(), KeyStoreError> {
        match &self.0 {
            Kept::Memory(keys) => {
                keys.renew(request, lease_until_ms);
                Ok(())
            }
            #[cfg(feature = "sea-orm")]
            Kept::Database(keys) => keys.renew(request, lease_until_ms).await,
        }
    }

    /// The handler has answered. Whether the key was still ours.
    pub(super) async fn finish(
        &self,
        request: &Request,
        answer: Option<KeptAnswer>,
        keep_until_ms: i64,
    ) -> Result<bool, KeyStoreError> {
        match &self.0 {
            Kept::Memory(keys) => Ok(keys.finish(request, answer, keep_until_ms)),
            #[cfg(feature = "sea-orm")]
            Kept::Database(keys) => keys.finish(request, answer, keep_until_ms).await,
        }
    }

    /// The handler has done nothing: the next request may.
    pub(super) async fn release(&self, request: &Request) -> Result<(), KeyStoreError> {
        match &self.0 {
            Kept::Memory(keys) => {
                keys.release(request);
                Ok(())
            }
            #[cfg(feature = "sea-orm")]
            Kept::Database(keys) => keys.release(request).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_is_granted_by_a_doubted_clock_has_not_run_out_by_the_other() {
        let terms = Terms { lease: Duration::from_secs(10), keep: Duration::from_secs(60) };
        let (early, late) = (Wall(1_000), Wall(61_000));
        let doubted = terms.by_two_clocks(early, late);
        assert_eq!(doubted.lease_until_ms(early.0), terms.lease_until_ms(late.0));
        assert_eq!(doubted.keep, terms.keep);
        let agreed = terms.by_two_clocks(early, early);
        assert_eq!(agreed.lease_until_ms(early.0), terms.lease_until_ms(early.0));
    }
}
