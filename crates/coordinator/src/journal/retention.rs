//! Deletes what is past its retention, a few rows at a time, by the one writer: while it is
//! idle, and between two batches when deleting is urgent.
//!
//! A round first forgets transactions: those beyond the bound on their number, then those
//! past their time. Then it strips the younger ones of branches and history, walking by
//! begin from where it stopped before. A transaction that was too young, or unfinished, when
//! the walk passed it is stripped on a later walk: once a day it begins anew, and the
//! finished are counted anew.

use std::time::Duration;

use tercet_protocol::{Mono, Now, Wall};

use super::error::JournalError;
use super::meters::Meters;
use super::settings::Retention;
use super::store::{Place, Store};

/// Most rows of a table deleted in one step: a batch that arrives meanwhile waits for it.
const ROWS_PER_STEP: u32 = 500;
/// How often the walk begins anew.
const WALK_EVERY: Duration = Duration::from_hours(24);

/// Deletes what is past its retention.
pub(super) struct Sweeper {
    settings: Retention,
    task: Task,
    /// When the next step is due.
    due: Mono,
    /// How many finished transactions there are, as far as this node knows.
    finished: u64,
    /// How far stripping has come.
    stripped: Option<Place>,
    walk_again: Mono,
    /// Of the round under way.
    lag: Duration,
}

/// What the next step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Count,
    Forget,
    Strip,
}

impl Sweeper {
    /// One whose first round is due a round's pause from now: starting up is busy enough.
    pub(super) fn new(settings: Retention, now: Now) -> Self {
        Self {
            settings,
            task: Task::Count,
            due: now.mono.after(settings.every),
            finished: 0,
            stripped: None,
            walk_again: now.mono,
            lag: Duration::ZERO,
        }
    }

    /// How long nothing needs to be done.
    pub(super) fn pause(&self, now: Now) -> Duration {
        self.due.since(now.mono)
    }

    /// Transactions have finished.
    pub(super) fn finished(&mut self, count: usize) {
        self.finished = self.finished.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Whether a step is to be taken although batches wait: when there are too many finished
    /// transactions, or when the writer has not been idle for long.
    pub(super) fn is_urgent(&self, now: Now) -> bool {
        let overdue = now.mono.since(self.due);
        now.mono >= self.due && (self.is_crowded() || overdue >= self.settings.every)
    }

    fn is_crowded(&self) -> bool {
        self.finished > self.settings.max_finished
    }

    /// Takes one step.
    pub(super) async fn step(&mut self, store: &dyn Store, now: Now, meters: &Meters) {
        // Idle, the next step follows at once.
        self.due = now.mono;
        if self.is_crowded() {
            self.task = Task::Forget;
        }
        let done = match self.task {
            Task::Count => self.count(store, now).await,
            Task::Forget => self.forget(store, now).await,
            Task::Strip => self.strip(store, now, meters).await,
        };
        if let Err(error) = done {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot delete old rows");
            self.due = now.mono.after(self.settings.every);
        }
    }

    async fn count(&mut self, store: &dyn Store, now: Now) -> Result<(), JournalError> {
        if self.walk_again <= now.mono {
            self.finished = store.count_finished().await?;
            self.stripped = None;
            self.walk_again = now.mono.after(WALK_EVERY);
        }
        self.lag = Duration::ZERO;
        self.task = Task::Forget;
        Ok(())
    }

    async fn forget(&mut self, store: &dyn Store, now: Now) -> Result<(), JournalError> {
        let crowded = self.is_crowded();
        let horizon = before(now, self.settings.transactions);
        let forgotten = if crowded {
            let excess = self.finished - self.settings.max_finished;
            let rows = u32::try_from(excess).unwrap_or(ROWS_PER_STEP).min(ROWS_PER_STEP);
            store.forget(Wall::MAX, rows).await?
        } else {
            store.forget(horizon, ROWS_PER_STEP).await?
        };
        self.finished = self.finished.saturating_sub(forgotten.transactions);
        if let Some(oldest) = forgotten.oldest {
            self.lag = self.lag.max(horizon.since(oldest));
        }
        if !forgotten.more && crowded && forgotten.transactions == 0 {
            // The count was wrong: another node has deleted them.
            self.finished = self.settings.max_finished;
        } else if !forgotten.more && !crowded {
            self.task = Task::Strip;
        }
        Ok(())
    }

    async fn strip(
        &mut self,
        store: &dyn Store,
        now: Now,
        meters: &Meters,
    ) -> Result<(), JournalError> {
        let horizon = before(now, self.settings.branches);
        let stripped = store.strip(self.stripped.as_ref(), horizon, ROWS_PER_STEP).await?;
        if let Some(oldest) = stripped.oldest {
            self.lag = self.lag.max(horizon.since(oldest));
        }
        self.stripped = stripped.reached;
        if !stripped.more {
            meters.lag(self.lag);
            self.task = Task::Count;
            self.due = now.mono.after(self.settings.every);
        }
        Ok(())
    }
}

fn before(now: Now, kept: Duration) -> Wall {
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    Wall(now.wall.0.saturating_sub(kept))
}
