//! Deletes what is past its retention, a few rows at a time. What is due is looked up beside
//! the writer; only the deleting takes a turn of the writer's: while it is idle, and between
//! two batches when deleting is urgent.
//!
//! A round first forgets transactions: those beyond the bound on their number, then those
//! past their time. Then it strips the younger ones of branches and history, walking by
//! begin from where it stopped before. A transaction that was too young, or unfinished, when
//! the walk passed it is stripped on a later walk: once a day it begins anew, and the finished are
//! counted anew. Where other nodes finish some too they are counted more often. Last come acts and jobs.
//!
//! While the wall clock is in doubt nothing is deleted for its age; only the bound on their number
//! holds.

use std::sync::Arc;
use std::time::Duration;

use tercet_engine::{Change, Record};
use tercet_wire::{Mono, Now, Wall};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::error::JournalError;
use super::meters::Meters;
use super::settings::Retention;
use super::store::{AuditDue, JobsDue, JobsKept, Keyset, PurgeBatch, PurgeLimits, Store};

/// How long it is remembered after the end of a job what it has come to: longer than any request of
/// its takes to arrive.
const TICKS_KEPT: Duration = Duration::from_secs(600);
/// Jobs that are kept once they have ended.
const MOST_JOBS: usize = 1_000;
/// Rows of all tables deleted in one turn of an idle writer's: a batch that arrives meanwhile
/// waits for it, some milliseconds.
const ROWS_PER_STEP: u64 = 500;
/// Rows deleted in one turn at most, however much the batches before it wrote.
const MOST_ROWS_PER_STEP: u64 = 6_000;
/// Rows of a turn that has failed at so few are not halved any more.
const LEAST_ROWS_PER_STEP: u64 = 16;
/// How old a count of the finished may be where other nodes finish some too, of which this one
/// learns nothing else.
const COUNT_EVERY: Duration = Duration::from_mins(5);
/// Transactions looked at in one look-up at most.
const MOST_LOOKED_AT: u64 = 1_000;
/// How often the walk begins anew.
const WALK_EVERY: Duration = Duration::from_hours(24);

/// Deletes what is past its retention.
pub(super) struct Sweeper {
    store: Arc<dyn Store>,
    settings: Retention,
    /// The runtime that reads; the one this runs on, where nothing else is said.
    readers: Option<Handle>,
    task: Task,
    /// When the next look-up may begin.
    due: Mono,
    /// When the round under way was due, or the next one is.
    round_due: Mono,
    /// The look-up under way, if there is one. Dropped, it ends.
    looking: JoinSet<Result<Found, JournalError>>,
    /// What waits for a turn of the writer's.
    found: Option<Found>,
    /// How many finished transactions there are, as far as this node knows.
    finished: u64,
    /// About how many rows batches have written since something was deleted last.
    written: u64,
    /// The same between the two times before.
    written_before: u64,
    /// Rows deleted in one turn at most: fewer where turns have failed, since a server ends what
    /// takes too long.
    rows_at_most: u64,
    /// When the finished are counted again beside the rounds, where nodes share the rows.
    count_again: Option<Mono>,
    /// How far stripping has come.
    stripped: Option<Keyset>,
    walk_again: Mono,
    /// Of the round under way.
    lag: Duration,
    /// Whether the wall clock is in doubt: then nothing is deleted for its age.
    doubted: bool,
    /// Whether this node deletes at all: of those on one database one does.
    sweeping: bool,
}

/// What the next look-up is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Count,
    Forget,
    Strip,
    Audit,
    Jobs,
}

/// What a look-up found.
#[derive(Debug)]
enum Found {
    Finished(u64),
    /// The same, in the middle of a round.
    FinishedByNow(u64),
    ToForget {
        due: PurgeBatch,
        /// Whether it was asked for because there are too many.
        crowded: bool,
    },
    ToStrip(PurgeBatch),
    Audit(AuditDue),
    Jobs(JobsDue),
}

impl Found {
    /// Whether it is deleted since a clock says that it is old enough.
    fn is_by_age(&self) -> bool {
        match self {
            Self::Finished(_) | Self::FinishedByNow(_) => false,
            Self::ToForget { crowded, .. } => !crowded,
            Self::ToStrip(_) | Self::Audit(_) | Self::Jobs(_) => true,
        }
    }
}

impl Sweeper {
    /// One whose first round is due a round's pause from now: starting up is busy enough.
    pub(super) fn new(store: Arc<dyn Store>, settings: Retention, now: Now) -> Self {
        Self {
            store,
            settings,
            readers: None,
            task: Task::Count,
            due: now.mono.after(settings.every),
            round_due: now.mono.after(settings.every),
            looking: JoinSet::new(),
            found: None,
            finished: 0,
            written: 0,
            written_before: 0,
            rows_at_most: MOST_ROWS_PER_STEP,
            count_again: None,
            stripped: None,
            walk_again: now.mono,
            lag: Duration::ZERO,
            doubted: false,
            sweeping: true,
        }
    }

    /// Looks up on this runtime from now on: that of the connections that read.
    pub(super) fn look_up_on(&mut self, readers: Handle) {
        self.readers = Some(readers);
    }

    /// Whether the wall clock is in doubt from now on.
    pub(super) fn doubt_clock(&mut self, doubted: bool) {
        self.doubted = doubted;
    }

    /// Whether this node deletes from now on. Whoever begins to knows nothing of what others
    /// have deleted and finished, so that it counts anew.
    pub(super) fn set_sweeping(&mut self, sweeping: bool) {
        if self.sweeping == sweeping {
            return;
        }
        self.sweeping = sweeping;
        self.looking = JoinSet::new();
        self.found = None;
        self.task = Task::Count;
        self.stripped = None;
        self.walk_again = Mono(0);
    }

    /// How long nothing needs to be done, unless a look-up answers.
    pub(super) fn pause(&self, now: Now) -> Duration {
        if !self.sweeping {
            self.settings.every
        } else if self.found.is_some() {
            Duration::ZERO
        } else if self.is_looking() {
            self.settings.every
        } else {
            self.due.since(now.mono)
        }
    }

    /// Whether something has failed, which is tried again later.
    #[cfg(test)]
    pub(super) fn is_put_off(&self) -> bool {
        self.due > self.round_due
    }

    /// Whether a look-up is under way.
    pub(super) fn is_looking(&self) -> bool {
        !self.looking.is_empty()
    }

    /// These have become durable.
    pub(super) fn written(&mut self, records: &[Record]) {
        for record in records {
            let (finished, rows) = rows_of(&record.change);
            self.finished = self.finished.saturating_add(finished);
            self.written = self.written.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
        }
    }

    /// Whether a turn is to be taken although batches wait: when there are too many finished
    /// transactions, or a round is overdue since the writer has not been idle. Then as often
    /// as batches have written what makes a turn worth its own commit.
    pub(super) fn is_urgent(&self, now: Now) -> bool {
        let overdue = now.mono.since(self.round_due);
        let by_age = overdue >= self.settings.every && !self.doubted;
        self.sweeping
            && now.mono >= self.due
            && (self.is_crowded() || by_age)
            && self.written >= ROWS_PER_STEP / 2
    }

    fn is_crowded(&self) -> bool {
        self.finished > self.settings.max_finished
    }

    /// Rows to be deleted in the next turn: more than were written since the last, or what is
    /// overdue would only grow while the writer is never idle.
    fn rows_of_a_step(&self) -> u64 {
        let written = self.written.max(self.written_before);
        let more_than_written = written.saturating_add(written / 2);
        more_than_written.clamp(ROWS_PER_STEP, MOST_ROWS_PER_STEP).min(self.rows_at_most)
    }

    /// Takes the writer's turn: deletes what was found. If nothing was, a look-up begins.
    pub(super) async fn step(&mut self, now: Now, meters: &Meters) {
        self.take_answer(now, meters);
        if self.doubted && self.found.take_if(|found| found.is_by_age()).is_some() {
            self.skip_round(now);
        } else if let Some(found) = self.found.take() {
            let rows = self.rows_of_a_step();
            let deleted = self.delete(found).await;
            self.learn(rows, deleted.is_ok());
            self.written_before = std::mem::take(&mut self.written);
            if let Err(error) = deleted {
                self.put_off(&error, now);
            }
        } else {
            self.look_up(now);
        }
    }

    /// How many rows a turn takes. On a server all that takes too long fails, and would fail again.
    fn learn(&mut self, rows: u64, deleted: bool) {
        self.rows_at_most = match deleted {
            true => (self.rows_at_most + self.rows_at_most / 8).min(MOST_ROWS_PER_STEP),
            false if self.store.cluster().is_some() => (rows / 2).max(LEAST_ROWS_PER_STEP),
            false => self.rows_at_most,
        };
    }

    /// Waits until the look-up under way has answered; without one, for ever. Safe to give up.
    pub(super) async fn answered(&mut self, clock: impl Fn() -> Now, meters: &Meters) {
        match self.looking.join_next().await {
            Some(answer) => self.take(answer, clock(), meters),
            None => std::future::pending().await,
        }
    }

    /// Takes the answer of a look-up that has ended.
    fn take_answer(&mut self, now: Now, meters: &Meters) {
        if let Some(answer) = self.looking.try_join_next() {
            self.take(answer, now, meters);
        }
    }

    fn take(
        &mut self,
        answer: Result<Result<Found, JournalError>, tokio::task::JoinError>,
        now: Now,
        meters: &Meters,
    ) {
        let found = match answer {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return self.put_off(&error, now),
            Err(failed) => return self.put_off(&failed, now),
        };
        match found {
            Found::Finished(count) => {
                // What finished while they were counted may be missing until the next time.
                self.counted(count, now);
                self.stripped = None;
                self.walk_again = now.mono.after(WALK_EVERY);
                self.task = Task::Forget;
            }
            Found::FinishedByNow(count) => self.counted(count, now),
            Found::ToForget { due, crowded } => {
                if !self.doubted {
                    self.behind(before(now, self.settings.transactions), due.oldest, meters);
                }
                if due.gids.is_empty() {
                    self.forgotten(0, false, crowded);
                } else {
                    self.found = Some(Found::ToForget { due, crowded });
                }
            }
            Found::ToStrip(due) => {
                self.behind(due.finished_before, due.oldest, meters);
                if due.gids.is_empty() {
                    self.walked(due);
                } else {
                    self.found = Some(Found::ToStrip(due));
                }
            }
            Found::Audit(due) => {
                self.behind(before(now, self.settings.audit), due.oldest, meters);
                if due.ids.is_empty() {
                    self.task = Task::Jobs;
                } else {
                    self.found = Some(Found::Audit(due));
                }
            }
            Found::Jobs(JobsDue::Nothing) => self.end_round(now, meters),
            Found::Jobs(due) => {
                if let JobsDue::Jobs { oldest, .. } = &due {
                    self.behind(before(now, self.settings.jobs), *oldest, meters);
                }
                self.found = Some(Found::Jobs(due));
            }
        }
    }

    fn counted(&mut self, finished: u64, now: Now) {
        self.finished = finished;
        self.count_again = self.store.cluster().map(|_| now.mono.after(COUNT_EVERY));
    }

    /// How overdue the deletion is that follows now: shown at once, since the round may take
    /// long.
    fn behind(&mut self, horizon: Wall, oldest: Option<Wall>, meters: &Meters) {
        if let Some(oldest) = oldest {
            self.lag = self.lag.max(horizon.since(oldest));
            meters.lag(self.lag);
        }
    }

    fn look_up(&mut self, now: Now) {
        if self.is_looking() || now.mono < self.due {
            return;
        }
        let crowded = self.is_crowded();
        if !crowded && self.count_again.is_some_and(|at| at <= now.mono) {
            let store = Arc::clone(&self.store);
            return self
                .spawn(async move { store.count_finished().await.map(Found::FinishedByNow) });
        }
        if crowded {
            self.task = Task::Forget;
        } else if self.task == Task::Count {
            self.lag = Duration::ZERO;
            if self.walk_again > now.mono {
                self.task = Task::Forget;
            }
        }
        // How many there are may be counted at any time, and the oldest of too many may go.
        if self.doubted && !crowded && self.task != Task::Count {
            return self.skip_round(now);
        }
        let store = Arc::clone(&self.store);
        let rows = self.rows_of_a_step();
        let most = move |transactions: u64| PurgeLimits {
            transactions: u32::try_from(transactions.min(MOST_LOOKED_AT)).unwrap_or(u32::MAX),
            rows,
        };
        match self.task {
            Task::Count => {
                self.spawn(async move { store.count_finished().await.map(Found::Finished) });
            }
            Task::Forget => {
                // Each has two rows at least.
                let (horizon, most) = if crowded {
                    let excess = self.finished - self.settings.max_finished;
                    (Wall::MAX, most(excess.min(rows / 2)))
                } else {
                    (before(now, self.settings.transactions), most(rows / 2))
                };
                self.spawn(async move {
                    let due = store.due_for_purging(horizon, most).await?;
                    Ok(Found::ToForget { due, crowded })
                });
            }
            Task::Strip => {
                let (after, horizon) = (self.stripped.clone(), before(now, self.settings.branches));
                self.spawn(async move {
                    let due = store.due_for_pruning(after.as_ref(), horizon, most(rows)).await?;
                    Ok(Found::ToStrip(due))
                });
            }
            Task::Audit => {
                let (horizon, most) = (before(now, self.settings.audit), most(rows).transactions);
                self.spawn(async move { store.audit_due(horizon, most).await.map(Found::Audit) });
            }
            Task::Jobs => {
                let kept = JobsKept {
                    ticks_before: before(now, TICKS_KEPT),
                    before: before(now, self.settings.jobs),
                    jobs: MOST_JOBS,
                };
                let most = most(rows).transactions;
                self.spawn(async move { store.jobs_due(&kept, most).await.map(Found::Jobs) });
            }
        }
    }

    fn spawn(
        &mut self,
        look_up: impl Future<Output = Result<Found, JournalError>> + Send + 'static,
    ) {
        match &self.readers {
            Some(readers) => self.looking.spawn_on(look_up, readers),
            None => self.looking.spawn(look_up),
        };
    }

    /// Leaves to a later round what would be done now.
    fn skip_round(&mut self, now: Now) {
        self.task = Task::Count;
        self.round_due = now.mono.after(self.settings.every);
        self.due = self.round_due;
    }

    async fn delete(&mut self, found: Found) -> Result<(), JournalError> {
        match found {
            Found::Finished(_) | Found::FinishedByNow(_) => {}
            Found::ToForget { due, crowded } => {
                let transactions = self.store.purge(&due).await?;
                self.forgotten(transactions, due.more, crowded);
            }
            Found::ToStrip(due) => {
                self.store.prune(&due).await?;
                self.walked(due);
            }
            Found::Audit(due) => {
                self.store.purge_audit(&due).await?;
                if !due.more {
                    self.task = Task::Jobs;
                }
            }
            // There may be more, until there is nothing.
            Found::Jobs(due) => self.store.purge_jobs(&due).await?,
        }
        Ok(())
    }

    fn forgotten(&mut self, transactions: u64, more: bool, crowded: bool) {
        self.finished = self.finished.saturating_sub(transactions);
        if crowded && transactions == 0 {
            // The count was wrong: another node has deleted them.
            self.finished = self.finished.min(self.settings.max_finished);
        } else if !crowded && (!more || transactions == 0) {
            self.task = Task::Strip;
        }
    }

    fn walked(&mut self, due: PurgeBatch) {
        self.stripped = due.reached;
        if !due.more {
            self.task = Task::Audit;
        }
    }

    fn end_round(&mut self, now: Now, meters: &Meters) {
        meters.lag(self.lag);
        self.task = Task::Count;
        self.round_due = now.mono.after(self.settings.every);
        self.due = self.round_due;
    }

    /// What failed is tried again in the next round.
    fn put_off(&mut self, error: &(dyn std::error::Error + 'static), now: Now) {
        tracing::warn!(event = "purge_failed", error, "cannot delete old rows");
        self.due = now.mono.after(self.settings.every);
    }
}

/// How many transactions a change ends, and about how many rows it writes.
fn rows_of(change: &Change) -> (u64, usize) {
    match change {
        Change::Begun(spec) => (0, 2 + spec.branches.len()),
        Change::Finished { .. } => (1, 1),
        Change::Registered(_)
        | Change::Readdressed(_)
        | Change::BranchRecord(_)
        | Change::History(_) => (0, 1),
        Change::RegisteredAtOnce(branches) => (0, branches.len()),
        Change::Tried(_) => (0, 2),
        Change::Decided(_) | Change::Parked(_) => (0, 0),
        Change::Acted(_) | Change::Ticked(_) => change
            .parts()
            .map(rows_of)
            .fold((0, 1), |(ended, rows), (also_ended, more)| (ended + also_ended, rows + more)),
    }
}

fn before(now: Now, kept: Duration) -> Wall {
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    Wall(now.wall.0.saturating_sub(kept))
}
