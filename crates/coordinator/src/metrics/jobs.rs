//! Counts what jobs do.

use std::fmt;

use metrics::{Gauge, counter, gauge};
use tercet_wire::{JobAction, metric};

use crate::jobs::{Came, label};

/// The handles, registered once.
#[derive(Clone)]
pub struct JobMetrics {
    unfinished: Gauge,
}

impl JobMetrics {
    /// Registers all, at zero.
    #[must_use]
    pub fn register() -> Self {
        let unfinished = gauge!(metric::JOBS_UNFINISHED);
        unfinished.set(0.0);
        for action in JobAction::ALL {
            for result in ["done", "failed", "put_off"] {
                let labels = [("action", label(*action)), ("result", result)];
                counter!(metric::JOB_ACTS, &labels).increment(0);
            }
        }
        Self { unfinished }
    }

    /// Counts what came of one.
    pub(crate) fn count(&self, action: JobAction, came: Came) {
        let result = match came {
            Came::Ticked { code: None } | Came::Over { code: None } => "done",
            Came::Ticked { code: Some(_) } | Came::Over { code: Some(_) } => "failed",
            Came::Elsewhere(_) | Came::Unknown => "put_off",
        };
        let labels = [("action", label(action)), ("result", result)];
        counter!(metric::JOB_ACTS, &labels).increment(1);
    }

    /// So many have not ended.
    #[expect(clippy::cast_precision_loss, reason = "they are bounded far below 2^52")]
    pub fn unfinished(&self, jobs: usize) {
        self.unfinished.set(jobs as f64);
    }
}

impl fmt::Debug for JobMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobMetrics").finish_non_exhaustive()
    }
}
