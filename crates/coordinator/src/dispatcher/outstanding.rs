//! Counts calls that were taken in and not yet answered, for those who wait for all.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many calls are not answered.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    calls: AtomicUsize,
    none: Notify,
}

impl Outstanding {
    pub(super) fn began(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn ended(&self) {
        if self.calls.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.none.notify_waiters();
        }
    }

    /// Returns at a moment when none is outstanding.
    pub(super) async fn none(&self) {
        loop {
            // Created before looking, so that an end in between is not missed.
            let notified = self.none.notified();
            if self.calls.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }
}
