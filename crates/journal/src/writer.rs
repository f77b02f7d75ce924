//! The one writer's loop: it moves batches and events, and decides nothing. What is written
//! when, and what follows from a failure, is the engine's [`GroupCommit`] to say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::{Clock, Stopwatch};
use tercet_engine::{
    ActAlone, Caps, Committed, GroupCommit, GroupCommitSettings, JournalEvent, Record, Submitted,
    TransactionKey, Urgency,
};
use tercet_wire::{ClockNews, Gid, Incarnation, Now, SteadyWall};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::meters::{Meters, QueueMeter};
use super::retention::Sweeper;
use super::settings::JournalSettings;
use super::store::{CommitError, Store};

/// How often a writer with nothing to write looks whether its files are still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What reaches the writer.
#[derive(Debug)]
pub(super) enum Command {
    /// Make these durable.
    Append { records: Vec<Record>, urgency: Urgency },
    /// Make durable what an operator did, and tell whoever waits for it.
    Act { act: Box<ActAlone>, told: Told },
    /// Make these transactions of a dead life this one's.
    TakeOver { dead: Incarnation, gids: Vec<Gid> },
    /// Make durable what came before, then end.
    Close,
    /// The same, and say last that this life is over.
    Leave,
    /// Delete what is past its retention, or leave that to another node.
    SetSweeping(bool),
}

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is durable.
    Durable,
    /// The database does not take it, and never will as it is: something else was written first.
    Rejected,
}

/// Somebody waits for an act to be durable. Dropped, it says that it will not be.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) told: oneshot::Sender<Settled>,
    /// Given back when it is settled.
    pub(super) _place: OwnedSemaphorePermit,
}

/// The one writer.
pub(super) struct Writer {
    store: Arc<dyn Store>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<JournalEvent>,
    clock: Arc<dyn Clock>,
    steady: SteadyWall,
    group_commit: GroupCommit,
    meters: Meters,
    queue: Arc<QueueMeter>,
    sweeper: Sweeper,
    /// Who waits for an act, in their order.
    acts: VecDeque<Told>,
}

impl Writer {
    pub(super) fn new(
        store: Arc<dyn Store>,
        commands: mpsc::UnboundedReceiver<Command>,
        events: mpsc::UnboundedSender<JournalEvent>,
        clock: Arc<dyn Clock>,
        settings: &JournalSettings,
        meters: Meters,
        queue: Arc<QueueMeter>,
    ) -> Self {
        let now = clock.now();
        let group_commit = GroupCommitSettings {
            caps: Caps {
                records: settings.batch_records,
                binds: store.max_binds(),
                bytes: settings.batch_bytes,
            },
            linger: settings.linger,
            resubmit: settings.resubmit,
            longest_silence: match store.cluster() {
                Some(_) => settings.longest_silence.min(settings.heartbeat),
                None => settings.longest_silence,
            },
        };
        let mut sweeper = Sweeper::new(Arc::clone(&store), settings.retention, now);
        // Where several nodes use the rows one of them sweeps, which others are to say.
        sweeper.set_sweeping(store.cluster().is_none());
        Self {
            sweeper,
            group_commit: GroupCommit::new(group_commit, now.mono),
            steady: SteadyWall::start(now, store.last_written(), settings.longest_downtime),
            store,
            commands,
            events,
            clock,
            meters,
            queue,
            acts: VecDeque::new(),
        }
    }

    /// Looks up what is past its retention on this runtime: that of the connections that read.
    pub(super) fn look_up_on(mut self, readers: Handle) -> Self {
        self.sweeper.look_up_on(readers);
        self
    }

    /// Runs until it is closed, fenced, or nobody can append any more.
    pub(super) async fn run(mut self) {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.take(command);
            }
            let submitted = self.submit().await;
            self.tell();
            if self.group_commit.is_over() {
                return;
            }
            if submitted {
                self.sweep_if_urgent().await;
                // Whoever tells it to stop is heard even if no batch ever has to wait for
                // anything.
                tokio::task::yield_now().await;
            } else {
                self.wait().await;
            }
        }
    }

    /// The moment, with a date that nothing is too old by.
    fn now(&mut self) -> Now {
        let now = self.clock.now();
        match self.steady.observe(now) {
            None => {}
            Some(ClockNews::Parted { ahead_ms }) => tracing::warn!(
                event = "clock_parted",
                ahead_ms,
                "the wall clock has parted from the monotonic clock, or from what was last written \
                 here: nothing is deleted for its age until they agree, or have kept in step for a day"
            ),
            Some(ClockNews::Believed) => tracing::info!(
                event = "clock_believed",
                "the wall clock is believed again: what is too old by it is deleted"
            ),
        }
        self.sweeper.doubt_clock(self.steady.is_parted());
        self.steady.of(now)
    }

    /// Submits what is to be submitted now; whether there was anything.
    async fn submit(&mut self) -> bool {
        let now = self.now();
        let Some(submitted) = self.group_commit.submit(now) else { return false };
        let is_act = matches!(submitted, Submitted::Batch(batch) if !batch.acts.is_empty());
        let stopwatch = Stopwatch::start();
        let mut rejected = None;
        let result = match write(&*self.store, submitted).await {
            Ok(committed) => {
                self.meters.commit_duration.record(stopwatch.elapsed().as_secs_f64());
                if let Submitted::Batch(batch) = submitted {
                    self.meters.written(batch);
                    self.sweeper.written(&batch.records);
                }
                committed
            }
            Err(CommitError::Again(why) | CommitError::Conflict(why)) => {
                self.meters.failures.increment(1);
                Committed::Again { why }
            }
            Err(CommitError::Rejected(why)) => {
                rejected = Some(why);
                Committed::Rejected
            }
            Err(CommitError::Fenced(why)) => {
                tracing::error!(
                    event = "node_fenced",
                    why,
                    "fenced: another incarnation writes in this one's place"
                );
                Committed::Fenced
            }
        };
        if is_act && !matches!(result, Committed::Again { .. }) {
            let told = self.acts.pop_front();
            let settled = match result {
                Committed::Durable { .. } => Some(Settled::Durable),
                Committed::Rejected => Some(Settled::Rejected),
                Committed::TakenOver { .. } | Committed::Fenced | Committed::Again { .. } => None,
            };
            if let (Some(Told { told, .. }), Some(settled)) = (told, settled) {
                // Whoever does not wait any more needs no telling.
                let _ = told.send(settled);
            }
        }
        let now = self.now();
        let quarantined = self.group_commit.committed(result, now);
        if let Some(life) = quarantined {
            self.quarantined(&life, rejected.as_deref().unwrap_or_default());
        }
        true
    }

    /// Waits for work or a deadline; meanwhile, if there is nothing to write, deletes what is
    /// past its retention.
    async fn wait(&mut self) {
        let now = self.now();
        let idle = self.group_commit.is_idle();
        let mut pause = self.group_commit.next_deadline().map(|at| at.since(now.mono));
        if idle {
            let sweep = self.sweeper.pause(now).min(LOOK_EVERY);
            pause = Some(pause.map_or(sweep, |pause| pause.min(sweep)));
        }
        tokio::select! {
            // What was appended comes before what is to be deleted.
            biased;
            command = self.commands.recv(), if !self.group_commit.is_closing() => {
                // When nobody can append any more, what was appended is still written.
                return self.take(command.unwrap_or(Command::Close));
            }
            () = self.sweeper.answered(|| self.clock.now(), &self.meters), if idle => {}
            () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)) => {}
        }
        let now = self.now();
        if idle && !self.store.is_intact() {
            // What comes of it people are told as they are of any other failure.
            self.group_commit.press_sign_of_life(now.mono);
        } else if idle && self.sweeper.pause(now).is_zero() {
            self.sweeper.step(now, &self.meters).await;
        }
    }

    async fn sweep_if_urgent(&mut self) {
        let now = self.now();
        if self.group_commit.is_between_batches() && self.sweeper.is_urgent(now) {
            self.sweeper.step(now, &self.meters).await;
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Append { mut records, urgency } => {
                self.date_ends(&mut records);
                self.group_commit.append(records, urgency);
            }
            Command::Act { act, told } => {
                self.acts.push_back(told);
                self.group_commit.act(*act);
            }
            Command::TakeOver { dead, gids } => {
                self.group_commit.take_over(dead, gids);
                // Before it can be found among this life's rows.
                self.tell();
            }
            Command::Close => self.group_commit.close(),
            Command::Leave => self.group_commit.leave(),
            Command::SetSweeping(sweeping) => self.sweeper.set_sweeping(sweeping),
        }
    }

    /// What ends is kept for as long as it should be, whatever the clock says meanwhile.
    fn date_ends(&mut self, records: &mut [Record]) {
        let now = self.now().mono;
        if !self.steady.is_parted() {
            return;
        }
        for record in records {
            record.date_end(&self.steady, now);
        }
    }

    fn quarantined(&self, life: &TransactionKey, why: &str) {
        tracing::error!(
            event = "records_refused",
            gid = %life.gid,
            instance = %life.instance,
            why,
            "ALARM: the journal cannot take this transaction's records; it is quarantined"
        );
        self.meters.quarantined.increment(1);
    }

    fn tell(&mut self) {
        // First, so that who hears that it is durable finds the room that it took.
        let settled = self.group_commit.take_settled();
        self.queue.remove(settled.records, settled.bytes);
        while let Some(event) = self.group_commit.take_event() {
            // A runtime that has gone needs no telling; what was appended is written all the same.
            let _ = self.events.send(event);
        }
    }
}

/// How often what another transaction was in the way of is repeated before anybody is told. It goes
/// through when the other is over, which was there first; on databases of several writers this is
/// no fault of theirs.
const MOST_CONFLICTS: u32 = 20;

/// Has the store do what is submitted. As any submission it may be repeated.
async fn write(store: &dyn Store, submitted: &Submitted) -> Result<Committed, CommitError> {
    let mut conflicts = 0;
    loop {
        match write_once(store, submitted).await {
            Err(CommitError::Conflict(why)) if conflicts < MOST_CONFLICTS => {
                conflicts += 1;
                tracing::debug!(
                    event = "batch_conflict",
                    why,
                    "another transaction was in the way"
                );
            }
            done => return done,
        }
    }
}

async fn write_once(store: &dyn Store, submitted: &Submitted) -> Result<Committed, CommitError> {
    let alone = || CommitError::Rejected("one process has these rows to itself".to_owned());
    match submitted {
        Submitted::Batch(batch) => {
            store.commit(batch).await.map(|taken| Committed::Durable { taken })
        }
        Submitted::Chunk(chunk) => {
            let gids = store.cluster().ok_or_else(alone)?.take_over(chunk).await?;
            Ok(Committed::TakenOver { gids })
        }
        Submitted::Leave(leave) => {
            store.cluster().ok_or_else(alone)?.leave(leave).await?;
            Ok(Committed::Durable { taken: Vec::new() })
        }
    }
}
