//! What the proxy has done, counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::fate::Fate;

/// Counts since the start. Each is read by itself: together they are exact only when no call comes.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Calls of the coordinator's that came.
    calls: AtomicU64,
    doubled: AtomicU64,
    delayed: AtomicU64,
    overtaken: AtomicU64,
    answers_lost: AtomicU64,
    /// Calls and copies that are held back, or whose answer is awaited.
    under_way: AtomicU64,
}

impl Counts {
    /// Counts a call by its fate.
    pub(super) fn met(&self, fate: Fate) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let kind = match fate {
            Fate::Passed => return,
            Fate::Doubled { .. } => &self.doubled,
            Fate::Delayed { .. } => &self.delayed,
            Fate::Overtaken => &self.overtaken,
            Fate::AnswerLost => &self.answers_lost,
        };
        kind.fetch_add(1, Ordering::Relaxed);
    }

    /// A call or a copy was taken in hand.
    pub(super) fn begun(&self) {
        self.under_way.fetch_add(1, Ordering::SeqCst);
    }

    /// It was delivered and answered, or cannot be.
    pub(super) fn ended(&self) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        write!(
            f,
            "{} calls: {} doubled, {} delayed, {} overtaken, {} answers lost",
            of(&self.calls),
            of(&self.doubled),
            of(&self.delayed),
            of(&self.overtaken),
            of(&self.answers_lost)
        )
    }
}
