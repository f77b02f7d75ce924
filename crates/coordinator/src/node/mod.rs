//! Journal, dispatcher and engine, put together and running.
//!
//! Starting: journal (lock, schema, incarnation) → recovery → the engine's shell. Stopping goes
//! the other way: the shell finishes what is in flight within most of the grace, then the
//! journal writes what is queued within the rest of it and lets go of the database.

#[cfg(test)]
mod every_setting;
mod hold;
mod parts;
mod surroundings;

use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{Core, Driver, Engine, Paused};
use tercet_journal::{Journal, JournalError};
use tercet_wire::{Incarnation, Wall};
use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::cluster::{Chunks, Forwarder, Life, News, OwnLease, Watching};
use crate::config::Settings;
use crate::dispatcher::{self, Dispatcher};
use crate::http::Readiness;
use crate::jobs::{Jobs, Worker};
use crate::node::parts::{cluster_settings, driver_settings, engine_settings};
use crate::pauses::{self, Pauses};
use crate::runtime::{Ended, Ports, RecoveryError, RuntimeHandle, Shell, lanes, recover};

pub(crate) use crate::node::parts::dispatcher_settings;
pub use crate::node::surroundings::{Rows, Surroundings};

/// How long the others may take to hear that this node has left.
const TELLING: Duration = Duration::from_millis(500);

/// How often is read who is paused: others may have said so, or what this node said was durable only
/// after it had given up waiting.
const PAUSES_AMONG_SEVERAL: Duration = Duration::from_secs(1);
const PAUSES_ALONE: Duration = Duration::from_secs(10);

/// Clocks are corrected by so much without anybody noticing.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// Why it could not start, or had to stop.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The journal could not be opened, or not closed in order.
    #[error("the journal cannot be used")]
    Journal(#[from] JournalError),
    /// The database was restored from a backup, and nobody has said that this is known.
    #[error(
        "the database was restored from a backup ({since}), and what was undecided in it is held: start with --restored, compare the participants' books (tercet reconcile), then tercet restored release"
    )]
    Restored {
        /// When.
        since: Wall,
    },
    /// The unfinished transactions could not be read.
    #[error("cannot recover")]
    Recovery(#[from] RecoveryError),
    /// Somebody else has taken over.
    #[error("this life of the node was fenced: a newer one has its transactions; start it again")]
    Fenced,
    /// A bug of ours. What is durable is safe.
    #[error("the engine's task failed; the next start recovers from the journal")]
    Failed(#[source] JoinError),
}

/// Journal, dispatcher and engine, running: one life of a node.
pub struct Node {
    /// Asks the engine.
    pub engine: RuntimeHandle,
    /// Reads lists and histories.
    pub journal: Journal,
    /// What is done to many transactions.
    pub jobs: Jobs,
    /// Knows how it stands with the participants.
    pub dispatcher: Dispatcher,
    /// Which life.
    pub incarnation: Incarnation,
    /// Knows which participants are paused.
    pub(crate) pauses: Pauses,
    /// Asks the others, where they share the rows; then a life that was fenced can begin anew.
    pub forwarder: Option<Arc<Forwarder>>,
    shell: JoinHandle<Ended>,
    ended: watch::Receiver<()>,
    clock: Arc<dyn Clock>,
    own_lease: OwnLease,
    /// What runs beside the shell, and no longer than this.
    beside: JoinSet<()>,
}

impl Node {
    /// Opens the journal, recovers, and runs until `stop` turns true.
    ///
    /// # Errors
    /// The journal cannot be opened or read.
    pub async fn start(
        around: &Surroundings,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, NodeError> {
        let Surroundings { settings, clock, transactions, traces, readiness, .. } = around;
        let began = clock.mono();
        let incarnation = clock.new_incarnation();
        let (tell, journal_events) = mpsc::unbounded_channel();
        let journal = around.journal(incarnation, tell).await?;
        let look = Arc::new(Notify::new());
        let lease = OwnLease::from(began, settings.cluster.lease, Arc::clone(clock));
        let forwarder = around.forwarder(incarnation, &journal, &look, &lease).await?;
        let is_one_of_several = forwarder.is_some();

        let held = hold::of(journal.hold().await?);
        if let Some(held) = &held {
            if !matches!(around.rows, Rows::Restored) {
                let since = held.at;
                // It has written no more than that it is here.
                journal.leave(TELLING).await?;
                return Err(NodeError::Restored { since });
            }
            hold::tell(held);
        }
        readiness.set_held(held.is_some());
        let doubted = is_clock_doubted(journal.last_written(), settings, clock.now().wall);
        let paused = journal.pauses().await?;
        let mut of_engine = engine_settings(settings, doubted);
        of_engine.rules.paused = Paused::of(pauses::names(&paused));
        of_engine.rules.held_to = held.as_ref().and_then(|held| held.held_to);
        let engine = Engine::new(clock.new_epoch(), of_engine);
        let core = Core::new(engine, settings.journal.request_timeout);
        let mut driver = Driver::new(core, driver_settings(settings));
        let recovered = recover(&mut driver, &journal, clock, (transactions, traces)).await?;
        transactions.recovered(recovered.taken_up);
        if recovered.taken_up > 0 {
            tracing::info!(
                event = "recovered",
                transactions = recovered.taken_up,
                "took up what was unfinished"
            );
        }

        let own_lease = match is_one_of_several {
            true => lease,
            false => OwnLease::endless(),
        };
        let dispatcher = dispatcher::start(
            dispatcher_settings(settings),
            around.connector.clone(),
            around.workers.clone(),
            own_lease.clone(),
            traces.clone(),
            Arc::clone(clock),
        );
        dispatcher.set_paused(pauses::names(&paused));
        let chunks = is_one_of_several.then(|| Arc::new(Chunks::default()));
        let ports = Ports {
            journal: journal.clone(),
            dispatcher: dispatcher.clone(),
            metrics: transactions.clone(),
            traces: traces.clone(),
            alerts: around.alerts.clone(),
            unreachable_after: settings.alerts.unreachable_after,
            // A call may be as long on its way as the longest wait before it.
            called_within: settings.retry.max_backoff * 2,
            paused: pauses::names(&paused),
            chunks: chunks.clone(),
        };
        let (engine, lanes) = lanes(settings.limits.begin_queue, settings.limits.request_queue);
        let shell = Shell::new(driver, Arc::clone(clock), lanes, journal_events, ports);
        let mut beside = JoinSet::new();
        beside.spawn(follow(shell.journal_health(), readiness.clone()));
        if held.is_some() {
            beside.spawn(hold::follow(journal.clone(), engine.clone(), readiness.clone()));
        }
        if let Some(chunks) = chunks {
            let (journal, lease) = (journal.clone(), own_lease.clone());
            let life = Life { incarnation, began, journal, lease, look };
            let of_cluster = cluster_settings(settings, around.listens_on);
            let news = News::new(around.alerts.clone(), around.nodes.clone());
            let (seen, clock) = (around.sightings.clone(), Arc::clone(clock));
            let watching = Watching::new(life, of_cluster, chunks, seen, news, clock);
            beside.spawn(watching.run(stop.clone()));
        }
        let pauses = Pauses::new(journal.clone(), engine.clone(), &paused);
        let every = if is_one_of_several { PAUSES_AMONG_SEVERAL } else { PAUSES_ALONE };
        beside.spawn(pauses.clone().watch(every));
        let jobs = Jobs::new(journal.clone(), engine.clone(), Arc::clone(clock), incarnation);
        let worker = Worker::new(&jobs, forwarder.clone(), settings.jobs.per_second);
        beside.spawn(worker.run(stop.clone()));
        if settings.console.enabled {
            let (of_participants, clock) = (dispatcher.clone(), Arc::clone(clock));
            let participants = move || of_participants.participants();
            beside.spawn(around.recent.clone().keep(participants, clock));
        }
        let (beat, of_loop) = (shell.beat(), Arc::clone(clock));
        readiness.watch(move || beat.age(of_loop.now().mono));
        let grace = settings.shutdown.grace;
        let (end, ended) = watch::channel(());
        let shell = tokio::spawn(async move {
            let ended = shell.run(recovered, stop, grace).await;
            drop(end);
            ended
        });
        let clock = Arc::clone(clock);
        Ok(Self {
            engine,
            journal,
            jobs,
            dispatcher,
            incarnation,
            pauses,
            forwarder,
            shell,
            ended,
            clock,
            own_lease,
            beside,
        })
    }

    /// Ends when the engine does: after `stop`, or by itself if this node was fenced.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move { while ended.changed().await.is_ok() {} }
    }

    /// Waits until what was in flight has ended, and closes the journal, within one grace. Other
    /// nodes are told that they may take over what is left.
    ///
    /// # Errors
    /// The node was fenced, or the journal could not write all that was queued.
    pub async fn stopped(mut self) -> Result<(), NodeError> {
        let ended = self.shell.await;
        // What others drive from here on is reserved no more by this one.
        self.own_lease.end();
        // Nor called beside what the next life of this node calls.
        self.dispatcher.end();
        // So that none of them says of the next life what was so in this one.
        self.beside.shutdown().await;
        match ended {
            Ok(Ended::Stopped { grace_ends }) => {
                let rest = grace_ends.since(self.clock.mono());
                let Some(forwarder) = &self.forwarder else {
                    return Ok(self.journal.leave(rest).await?);
                };
                // Asked now, since nothing is read after the end.
                let others = forwarder.others(TELLING).await;
                self.journal.leave(rest).await?;
                forwarder.tell_that_we_left(others, TELLING).await;
                Ok(())
            }
            // What this life had queued belongs to nobody; the next reads what is durable.
            Ok(Ended::Fenced) => Err(NodeError::Fenced),
            Err(failed) => Err(NodeError::Failed(failed)),
        }
    }
}

/// Ready means that the journal keeps up; without an engine nothing is.
async fn follow(mut healthy: watch::Receiver<bool>, readiness: Readiness) {
    loop {
        readiness.set_writable(*healthy.borrow_and_update());
        if healthy.changed().await.is_err() {
            return readiness.set_writable(false);
        }
    }
}

/// Whether the wall clock says that the node was down for longer than it may have been. Timers
/// do not go by the wall clock; only what was read from the journal does, once, at the start.
fn is_clock_doubted(last_written: Option<Wall>, settings: &Settings, now: Wall) -> bool {
    let Some(last_written) = last_written else { return false };
    let (ahead, behind) = (now.since(last_written), last_written.since(now));
    if behind > CLOCK_SKEW {
        tracing::warn!(
            event = "clock_behind",
            behind_ms = behind.as_millis(),
            "the clock is behind what was last written here: was it set back? Deadlines are not \
             put off by it, timestamps may go back"
        );
    }
    let doubted = ahead > settings.node.max_expected_downtime;
    if doubted {
        tracing::warn!(
            event = "clock_doubted",
            ahead_ms = ahead.as_millis(),
            "the clock is ahead of what was last written here by more than node.max_expected_downtime_ms: \
             was it set forward? Deadlines that have passed fire after one more round of Try"
        );
    }
    doubted
}
