//! Journal, dispatcher and engine, put together and running.
//!
//! Starting: journal (lock, schema, incarnation) → recovery → the engine's shell. Stopping goes
//! the other way: the shell finishes what is in flight within most of the grace, then the
//! journal writes what is queued within the rest of it and lets go of the database.

mod parts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::{Core, Driver, Engine};
use tercet_journal::{Journal, JournalError, MemoryRows, StoreKind};
use tercet_wire::Wall;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};

use crate::alerts;
use crate::config::Settings;
use crate::dispatcher::{self, Dispatcher, StartError};
use crate::http::Readiness;
use crate::metrics::TransactionMetrics;
use crate::node::parts::{driver_settings, engine_settings, journal_settings};
use crate::runtime::{Ended, Ports, RecoveryError, RuntimeHandle, Shell, lanes, recover};

pub(crate) use crate::node::parts::dispatcher_settings;

/// Clocks are corrected by so much without anybody noticing.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// Why it could not start, or had to stop.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The journal could not be opened, or not closed in order.
    #[error("the journal cannot be used")]
    Journal(#[from] JournalError),
    /// The unfinished transactions could not be read.
    #[error("cannot recover")]
    Recovery(#[from] RecoveryError),
    /// The HTTP client could not be built.
    #[error("cannot call participants")]
    Dispatcher(#[from] StartError),
    /// The HTTP client for alerts could not be built.
    #[error("cannot tell anybody")]
    Alerts(#[from] alerts::StartError),
    /// Somebody else has taken over.
    #[error("this life of the node was fenced: a newer one has its transactions; start it again")]
    Fenced,
    /// A bug of ours. What is durable is safe.
    #[error("the engine's task failed; the next start recovers from the journal")]
    Failed(#[source] JoinError),
}

/// Journal, dispatcher and engine, running.
pub struct Node {
    /// Asks the engine.
    pub engine: RuntimeHandle,
    /// Reads lists and histories.
    pub journal: Journal,
    /// Knows how it stands with the participants.
    pub dispatcher: Dispatcher,
    /// What is counted of transactions.
    pub transactions: TransactionMetrics,
    shell: JoinHandle<Ended>,
    ended: watch::Receiver<()>,
    clock: Arc<dyn Clock>,
}

impl Node {
    /// Opens the journal, recovers, and runs until `stop` turns true.
    ///
    /// # Errors
    /// The journal cannot be opened or read, or the HTTP client not built.
    pub async fn start(
        settings: &Settings,
        store: StoreKind,
        listens_on: SocketAddr,
        clock: &Arc<dyn Clock>,
        readiness: &Readiness,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, NodeError> {
        let transactions = TransactionMetrics::register();
        let (tell, journal_events) = mpsc::unbounded_channel();
        let of_journal = journal_settings(settings, listens_on, clock.new_incarnation());
        let journal = match store {
            StoreKind::InDatabase => Journal::open(of_journal, tell, Arc::clone(clock)).await?,
            StoreKind::InMemoryForBenchmarks => {
                let rows = MemoryRows::of_live_transactions_alone();
                Journal::in_memory(&rows, of_journal, tell, Arc::clone(clock)).await?
            }
        };

        let doubted = is_clock_doubted(journal.last_written(), settings, clock.now().wall);
        let engine = Engine::new(clock.new_epoch(), engine_settings(settings, doubted));
        let core = Core::new(engine, settings.journal.request_timeout);
        let mut driver = Driver::new(core, driver_settings(settings));
        let webhook = settings.alerts.of_webhook(settings.retry.backoff());
        let alerts = alerts::start(webhook, Arc::clone(clock))?;
        let recovered = recover(&mut driver, &journal, clock, &transactions).await?;
        transactions.recovered(recovered.taken_up);
        if recovered.taken_up > 0 {
            tracing::info!(
                event = "recovered",
                transactions = recovered.taken_up,
                "took up what was unfinished"
            );
        }

        let dispatcher = dispatcher::start(dispatcher_settings(settings), Arc::clone(clock))?;
        let metrics = transactions.clone();
        let ports = Ports {
            journal: journal.clone(),
            dispatcher: dispatcher.clone(),
            metrics,
            alerts,
            unreachable_after: settings.alerts.unreachable_after,
        };
        let (engine, lanes) = lanes(settings.limits.begin_queue, settings.limits.request_queue);
        let shell = Shell::new(driver, Arc::clone(clock), lanes, journal_events, ports);
        tokio::spawn(follow(shell.journal_health(), readiness.clone()));
        let grace = settings.shutdown.grace;
        let (end, ended) = watch::channel(());
        let shell = tokio::spawn(async move {
            let ended = shell.run(recovered, stop, grace).await;
            drop(end);
            ended
        });
        let clock = Arc::clone(clock);
        Ok(Self { engine, journal, dispatcher, transactions, shell, ended, clock })
    }

    /// Ends when the engine does: after `stop`, or by itself if this node was fenced.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move { while ended.changed().await.is_ok() {} }
    }

    /// Waits until what was in flight has ended, and closes the journal, within one grace.
    ///
    /// # Errors
    /// The node was fenced, or the journal could not write all that was queued.
    pub async fn stopped(self) -> Result<(), NodeError> {
        match self.shell.await {
            Ok(Ended::Stopped { grace_ends }) => {
                let rest = grace_ends.since(self.clock.now().mono);
                Ok(self.journal.close(rest).await?)
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
