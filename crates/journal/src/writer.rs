//! The one writer: takes all that waits, makes it durable, says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::{Clock, Stopwatch};
use tercet_engine::Record;
use tercet_wire::{Backoff, Mono, Seq};
use tokio::sync::mpsc;

use super::JournalEvent;
use super::backlog::Backlog;
use super::batch::{Batch, Caps, cut};
use super::meters::{Meters, QueueMeter};
use super::retention::Sweeper;
use super::settings::JournalSettings;
use super::store::{CommitError, Store};
use super::transaction_key::{LeftOut, TransactionKey};

/// What reaches the writer.
#[derive(Debug)]
pub(super) enum Command {
    /// Make these durable.
    Append {
        records: Vec<Record>,
        /// Somebody waits for some of these, or of what came before.
        hurry: bool,
    },
    /// Make durable what came before, then end.
    Close,
}

/// The one writer.
pub(super) struct Writer {
    store: Arc<dyn Store>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<JournalEvent>,
    clock: Arc<dyn Clock>,
    caps: Caps,
    resubmit: Backoff,
    meters: Meters,
    queue: Arc<QueueMeter>,
    sweeper: Sweeper,
    waiting: VecDeque<Record>,
    /// Somebody waits for some of what waits.
    awaited: bool,
    left_out: LeftOut,
    /// Of the last batch known to be durable.
    number: i64,
    longest_silence: Duration,
    leisure: Duration,
    /// When the next sign of life is due.
    silent_until: Mono,
    closing: bool,
}

/// This incarnation was replaced: the writer ends.
struct Fenced;

/// What became of a batch that is not to be submitted again.
enum Submitted {
    Durable,
    Rejected(String),
}

/// Consecutive records on their way into the database.
struct Part {
    records: Vec<Record>,
    /// Once they are durable or left out, everything up to here is.
    covers: Seq,
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
        Self {
            sweeper: Sweeper::new(Arc::clone(&store), settings.retention, now),
            longest_silence: settings.longest_silence,
            leisure: settings.leisure,
            silent_until: now.mono.after(settings.longest_silence),
            commands,
            events,
            clock,
            caps: Caps {
                records: settings.batch_records,
                binds: store.max_binds(),
                bytes: settings.batch_bytes,
            },
            store,
            resubmit: settings.resubmit,
            meters,
            queue,
            waiting: VecDeque::new(),
            awaited: false,
            left_out: LeftOut::default(),
            number: 0,
            closing: false,
        }
    }

    /// Runs until it is closed, fenced, or nobody can append any more.
    pub(super) async fn run(mut self) {
        loop {
            if self.waiting.is_empty()
                && !self.closing
                && let Err(Fenced) = self.idle().await
            {
                return self.tell(JournalEvent::Fenced);
            }
            while let Ok(command) = self.commands.try_recv() {
                self.take(command);
            }
            if self.waiting.is_empty() {
                if self.closing {
                    return;
                }
                continue;
            }
            self.wait_at_leisure().await;
            let records = cut(&mut self.waiting, self.caps);
            self.awaited &= !self.waiting.is_empty();
            if let Err(Fenced) = self.write(records).await {
                return self.tell(JournalEvent::Fenced);
            }
            let now = self.clock.now();
            if self.sweeper.is_urgent(now) {
                self.sweeper.step(now, &self.meters).await;
            }
            // Whoever tells it to stop is heard even if no batch ever has to wait for anything.
            tokio::task::yield_now().await;
        }
    }

    /// Waits until somebody waits for what waits to be written, but not for long.
    async fn wait_at_leisure(&mut self) {
        let until = self.clock.now().mono.after(self.leisure);
        while !self.awaited && !self.closing && self.waiting.len() < self.caps.records {
            let left = until.since(self.clock.now().mono);
            match tokio::time::timeout(left, self.commands.recv()).await {
                Ok(Some(command)) => self.take(command),
                Ok(None) => self.closing = true,
                Err(_) => return,
            }
        }
    }

    /// Waits for work; meanwhile deletes what is past its retention, and gives a sign of life
    /// now and then.
    async fn idle(&mut self) -> Result<(), Fenced> {
        loop {
            let now = self.clock.now();
            let pause = self.sweeper.pause(now).min(self.silent_until.since(now.mono));
            tokio::select! {
                // What was appended comes before what is to be deleted.
                biased;
                command = self.commands.recv() => {
                    match command {
                        Some(command) => self.take(command),
                        None => self.closing = true,
                    }
                    return Ok(());
                }
                () = self.sweeper.answered(|| self.clock.now(), &self.meters) => {}
                () = tokio::time::sleep(pause) => {}
            }
            let now = self.clock.now();
            if now.mono >= self.silent_until {
                let nothing =
                    Batch { number: self.number + 1, written_at: now.wall, records: Vec::new() };
                self.submit(&nothing).await?;
            }
            if self.sweeper.pause(now).is_zero() {
                self.sweeper.step(now, &self.meters).await;
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Append { records, hurry } => {
                self.waiting.extend(records);
                self.awaited |= hurry && !self.waiting.is_empty();
            }
            Command::Close => self.closing = true,
        }
    }

    /// Makes records durable. Where the database rejects them they are halved until what is
    /// rejected concerns one transaction, which is quarantined; the rest is written.
    async fn write(&mut self, records: Vec<Record>) -> Result<(), Fenced> {
        let Some(last) = records.last() else { return Ok(()) };
        let size = Backlog::of(&records);
        let mut parts = vec![Part { covers: last.seq, records }];
        while let Some(mut part) = parts.pop() {
            part.records.retain(|record| !self.left_out.covers(record));
            if let Some(first) = part.records.first() {
                let first = TransactionKey::of(first);
                let batch = Batch {
                    number: self.number + 1,
                    written_at: self.clock.now().wall,
                    records: part.records,
                };
                if let Submitted::Rejected(why) = self.submit(&batch).await? {
                    let mut records = batch.records;
                    if records.iter().all(|record| TransactionKey::of(record) == first) {
                        self.quarantined(first, &why);
                    } else {
                        let second = records.split_off(records.len() / 2);
                        parts.push(Part { records: second, covers: part.covers });
                        // The first half is not empty: records of two lives are at least two.
                        if let Some(last) = records.last() {
                            parts.push(Part { covers: last.seq, records });
                        }
                        continue;
                    }
                }
            }
            if parts.is_empty() {
                // First, so that who hears that it is durable finds the room that it took.
                self.queue.remove(size.records, size.bytes);
            }
            self.tell(JournalEvent::Durable(part.covers));
        }
        Ok(())
    }

    /// Submits a batch until it is known to have happened, or never to.
    async fn submit(&mut self, batch: &Batch) -> Result<Submitted, Fenced> {
        let mut failures = 0;
        let submitted = loop {
            let stopwatch = Stopwatch::start();
            match self.store.commit(batch).await {
                Ok(taken) => {
                    self.meters.commit_duration.record(stopwatch.elapsed().as_secs_f64());
                    break Ok(taken);
                }
                Err(CommitError::Rejected(why)) => break Err(why),
                Err(CommitError::Fenced(why)) => {
                    tracing::error!(
                        event = "node_fenced",
                        why,
                        "fenced: another incarnation writes in this one's place"
                    );
                    return Err(Fenced);
                }
                Err(CommitError::Again(why)) => {
                    failures += 1;
                    self.meters.failures.increment(1);
                    if failures == 1 {
                        self.tell(JournalEvent::Failing { why });
                    }
                    let entropy = self.clock.now().entropy;
                    tokio::time::sleep(self.resubmit.pause(failures, entropy, None)).await;
                }
            }
        };
        if failures > 0 {
            self.tell(JournalEvent::Healed);
        }
        let taken = match submitted {
            Ok(taken) => taken,
            Err(why) => return Ok(Submitted::Rejected(why)),
        };
        self.number = batch.number;
        self.silent_until = self.clock.now().mono.after(self.longest_silence);
        if !batch.records.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "batches are capped far below 2^53")]
            self.meters.batch_records.record(batch.records.len() as f64);
        }
        self.sweeper.written(&batch.records);
        for life in taken {
            self.tell(JournalEvent::Exists(life.gid.clone()));
            self.left_out.add(life);
        }
        Ok(Submitted::Durable)
    }

    fn quarantined(&mut self, life: TransactionKey, why: &str) {
        tracing::error!(event = "records_refused",
            gid = %life.gid,
            instance = %life.instance,
            why,
            "ALARM: the journal cannot take this transaction's records; it is quarantined"
        );
        self.meters.quarantined.increment(1);
        self.tell(JournalEvent::Quarantined(life.gid.clone()));
        self.left_out.add(life);
    }

    fn tell(&self, event: JournalEvent) {
        // A runtime that has gone needs no telling; what was appended is written all the same.
        let _ = self.events.send(event);
    }
}
