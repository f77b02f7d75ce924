//! What is not taken since there is too much already: counted by cause, and one line in the log when
//! it begins, not one for each that is refused.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use tercet_clock::Stopwatch;
use tercet_engine::Refusal;
use tercet_wire::metric;

/// After so long without a refusal the next is said anew.
const QUIET: Duration = Duration::from_secs(60);

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// `limits.live_transactions`.
    LiveTransactions,
    /// `limits.live_bytes`.
    LiveBytes,
    /// `limits.paged_out_transactions`.
    PagedOutTransactions,
    /// `limits.begin_queue`.
    BeginQueue,
    /// `journal.queue_records`, `journal.queue_bytes`, or a journal that does not write.
    Journal,
    /// `server.max_connections`, and what there is beside them for probes.
    Connections,
}

impl Cause {
    const ALL: [Self; 6] = [
        Self::LiveTransactions,
        Self::LiveBytes,
        Self::PagedOutTransactions,
        Self::BeginQueue,
        Self::Journal,
        Self::Connections,
    ];

    /// Why the engine does not take something new, if it is for want of room.
    pub(super) fn of(refusal: &Refusal) -> Option<Self> {
        match refusal {
            Refusal::TooManyTransactions { .. } => Some(Self::LiveTransactions),
            Refusal::TooManyBytes { .. } => Some(Self::LiveBytes),
            Refusal::TooManyPagedOut { .. } => Some(Self::PagedOutTransactions),
            Refusal::NotAccepted => Some(Self::Journal),
            Refusal::NotFound
            | Refusal::GidReused
            | Refusal::BranchReused(_)
            | Refusal::BranchAmongOthers(_)
            | Refusal::OfSeveral { .. }
            | Refusal::AlreadyConfirmed
            | Refusal::AlreadyCancelled
            | Refusal::NotOpen
            | Refusal::AsksItsInitiator
            | Refusal::Held
            | Refusal::NotDecided
            | Refusal::NothingToDo(_)
            | Refusal::AlreadyFinished(_)
            | Refusal::ResolvedOtherwise(..)
            | Refusal::BranchNotFound(_)
            | Refusal::TriesOutstanding(_)
            | Refusal::Unfit(_)
            | Refusal::TooManyBranches { .. }
            | Refusal::Elsewhere(_)
            | Refusal::JournalUnavailable
            | Refusal::Quarantined => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::LiveTransactions => "live_transactions",
            Self::LiveBytes => "live_bytes",
            Self::PagedOutTransactions => "paged_out_transactions",
            Self::BeginQueue => "begin_queue",
            Self::Journal => "journal",
            Self::Connections => "connections",
        }
    }
}

/// The counters, and when each cause was met last. The engine's door and the server's have one
/// each: they count into the same, and no cause is met at both.
pub struct Refusals {
    since: Stopwatch,
    causes: [(Counter, AtomicU64); Cause::ALL.len()],
}

impl Refusals {
    /// Registers all, at zero.
    #[must_use]
    pub fn register() -> Self {
        let causes = Cause::ALL.map(|cause| {
            let counted = counter!(metric::ADMISSIONS_REFUSED, "cause" => cause.as_str());
            counted.absolute(0);
            (counted, AtomicU64::new(0))
        });
        Self { since: Stopwatch::start(), causes }
    }

    /// Something was refused.
    pub fn count(&self, cause: Cause) {
        if self.is_news(cause, self.since.elapsed()) {
            tracing::warn!(
                event = "admissions_refused",
                cause = cause.as_str(),
                "new work is refused: a limit is reached. What is begun already goes on; \
                 tercet_admissions_refused_total counts what is refused",
            );
        }
    }

    /// Counts it, and says whether people have not heard of that cause lately.
    fn is_news(&self, cause: Cause, elapsed: Duration) -> bool {
        let Some((counted, last)) = self.causes.get(cause as usize) else { return false };
        counted.increment(1);
        // Zero stands for never.
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let last = last.swap(now, Ordering::Relaxed);
        last == 0 || u128::from(now.saturating_sub(last)) > QUIET.as_millis()
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_cause_the_first_refusal_is_news_and_again_after_a_quiet_minute() {
        let refusals = Refusals::register();
        let at = Duration::from_secs;
        assert!(refusals.is_news(Cause::LiveBytes, at(0)));
        for second in 0..600 {
            assert!(!refusals.is_news(Cause::LiveBytes, at(second)));
        }
        assert!(refusals.is_news(Cause::BeginQueue, at(600)));
        assert!(!refusals.is_news(Cause::LiveBytes, at(659)));
        assert!(refusals.is_news(Cause::LiveBytes, at(720)));
    }
}
