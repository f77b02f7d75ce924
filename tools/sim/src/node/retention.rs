//! What the journal's sweeper would forget: by the real clock that is not taken at its word. Nothing is
//! deleted here, since no world is as old as what may be forgotten; whatever is due is due too early.

use std::time::Duration;

use tercet_wire::{Now, Wall};

use crate::coverage::Sometimes;
use crate::node::{Around, Running};

/// So long what has ended is remembered: longer than any world lasts, shorter than clocks jump.
pub(crate) const RETENTION: Duration = Duration::from_secs(1_800);

impl Running {
    /// The moment, with a date that nothing is too old by.
    pub(super) fn steady(&mut self, now: Now) -> Now {
        // People hear of it elsewhere.
        let _news = self.steady.observe(now);
        self.steady.of(now)
    }

    /// The sweeper takes a turn of the writer's.
    pub(super) fn sweep(&mut self, now: Now, around: &mut Around<'_>) {
        if self.steady.is_parted() {
            return around.scheduler.saw(Sometimes::NotSweptInDoubt);
        }
        let kept = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
        let horizon = Wall(now.wall.0.saturating_sub(kept));
        for stored in around.rows.finished_before(horizon) {
            around.oracle.forgotten(stored, around.scheduler);
        }
    }
}
