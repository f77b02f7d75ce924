//! The daemon put together: what is started, in which order, and how it stops.
//!
//! Starting: journal (lock, schema, incarnation) → recovery → the ring's shell → the HTTP
//! face. Stopping goes the other way: the face takes no more work, the shell finishes what is
//! in flight within the grace, the journal writes what is queued.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tercet_protocol::{Engine, EngineSettings, Ring, Rules};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::api::{self, Api, Readiness, RequestLimits, ServerSettings};
use crate::clock::Clock;
use crate::config::Settings;
use crate::dispatcher::{self, DispatcherSettings, StartError};
use crate::journal::{Journal, JournalError, JournalSettings, Retention};
use crate::metrics::{self, TransactionMetrics};
use crate::runtime::{Ended, Outward, RecoveryError, Shell, lanes, recover};

/// Calls that may be under way or queued at once, over all destinations: room for the full
/// queues of a hundred dead ones. Memory is taken only for what is there.
const CALLS: usize = 131_072;

/// Why the daemon could not start, or had to stop.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The journal could not be opened or closed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The unfinished transactions could not be read.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The HTTP client could not be built.
    #[error(transparent)]
    Dispatcher(#[from] StartError),
    /// Somebody else has taken over.
    #[error("this node was fenced: its transactions belong to a newer life of it; start it again")]
    Fenced,
}

/// Runs until `stop` ends. `ready` is told the address once requests are answered.
///
/// # Errors
/// Something could not be started, or this node was fenced.
pub async fn run(
    settings: Settings,
    clock: Arc<dyn Clock>,
    metrics: PrometheusHandle,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), DaemonError> {
    let address = settings.server.listen;
    let listening = |source| DaemonError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;

    let transactions = TransactionMetrics::register();
    let upkeep = tokio::spawn(metrics::keep_up(metrics.clone()));
    let (tell_journal, journal_events) = mpsc::unbounded_channel();
    let journal_settings = journal_settings(&settings, address, clock.as_ref());
    let journal = Journal::open(journal_settings, tell_journal, Arc::clone(&clock)).await?;

    let engine = Engine::new(clock.new_epoch(), engine_settings(&settings));
    let mut ring = Ring::new(engine, settings.journal.answer_within);
    let recovered = recover(&mut ring, &journal, &clock).await?;
    transactions.recovered(recovered.taken_up);
    if recovered.taken_up > 0 {
        tracing::info!(transactions = recovered.taken_up, "unfinished transactions taken up again");
    }

    let dispatcher = dispatcher::start(dispatcher_settings(&settings), Arc::clone(&clock))?;
    let outward = Outward { journal: journal.clone(), dispatcher, metrics: transactions.clone() };
    let (engine, lanes) = lanes(settings.limits.begin_queue, settings.limits.request_queue);
    let shell = Shell::new(ring, Arc::clone(&clock), lanes, journal_events, outward, CALLS);
    let readiness = Readiness::default();
    let follow = tokio::spawn(follow_health(shell.journal_health(), readiness.clone()));
    let (stop_shell, shell_stopped) = watch::channel(false);
    let grace = settings.shutdown.grace;
    let mut shell = tokio::spawn(shell.run(recovered, shell_stopped, grace));

    let router = api::router(Api {
        engine,
        journal: journal.clone(),
        clock,
        limits: settings.limits.of_requests(vec![address]),
        requests: RequestLimits {
            max_bytes: settings.server.max_request_bytes,
            body_timeout: settings.server.body_read_timeout,
        },
        history_lines: settings.history.lines_per_transaction,
        readiness: readiness.clone(),
        metrics,
        transactions,
    });
    let server_settings = ServerSettings {
        max_connections: settings.server.max_connections,
        header_read_timeout: settings.server.header_read_timeout,
        grace,
    };
    let (stop_server, mut server_stopped) = watch::channel(false);
    let server = tokio::spawn(api::serve(listener, router, server_settings, async move {
        // An error means that the sender is gone, which is a reason to stop as well.
        let _ = server_stopped.wait_for(|stop| *stop).await;
    }));
    ready(address);

    let ended_early = tokio::select! {
        () = stop => None,
        ended = &mut shell => Some(ended),
    };
    tracing::info!("stopping: no new work is taken, what is in flight is finished");
    readiness.stop();
    stop_shell.send_replace(true);
    stop_server.send_replace(true);
    let ended = match ended_early {
        Some(ended) => ended,
        None => shell.await,
    };
    if let Err(error) = server.await {
        tracing::error!(%error, "the server failed while it stopped");
    }
    follow.abort();
    upkeep.abort();
    match ended {
        Ok(Ended::Stopped) => Ok(journal.close(grace).await?),
        // What this life had queued belongs to nobody; the next reads what is durable.
        Ok(Ended::Fenced) => Err(DaemonError::Fenced),
        Err(panicked) => {
            tracing::error!(%panicked, "the engine's task failed; a restart recovers from the journal");
            Err(DaemonError::Fenced)
        }
    }
}

async fn follow_health(mut healthy: watch::Receiver<bool>, readiness: Readiness) {
    loop {
        readiness.set_writable(*healthy.borrow_and_update());
        if healthy.changed().await.is_err() {
            return readiness.set_writable(false);
        }
    }
}

fn engine_settings(settings: &Settings) -> EngineSettings {
    let retry = &settings.retry;
    EngineSettings {
        rules: Rules {
            try_attempts: retry.try_attempts,
            backoff: retry.backoff(),
            park_after_wrong: retry.park_after_wrong,
            park_after_doubt: retry.park_after_doubt,
            ack_alone_after: retry.ack_alone_after,
            no_room_pause: retry.no_room_pause,
            history_lines: settings.history.lines_per_transaction,
            branches: settings.limits.branches,
        },
        live_transactions: settings.limits.live_transactions,
    }
}

fn journal_settings(
    settings: &Settings,
    address: SocketAddr,
    clock: &dyn Clock,
) -> JournalSettings {
    let incarnation = clock.new_incarnation();
    let url = &settings.database.url;
    let node_id = settings.node_id(address);
    JournalSettings {
        node_url: format!("http://{address}"),
        batch_records: settings.journal.batch_records,
        batch_bytes: settings.journal.batch_bytes,
        read_connections: settings.database.read_connections,
        retention: Retention {
            branches: settings.retention.branches,
            transactions: settings.retention.transactions,
            max_finished: settings.retention.max_finished,
            every: settings.retention.every,
        },
        ..JournalSettings::new(url, &node_id, incarnation)
    }
}

fn dispatcher_settings(settings: &Settings) -> DispatcherSettings {
    let dispatcher = &settings.dispatcher;
    DispatcherSettings {
        concurrency: dispatcher.per_destination_concurrency,
        queue_entries: dispatcher.per_destination_queue,
        queue_bytes: dispatcher.per_destination_queue_bytes,
        path_segments: dispatcher.destination_path_segments,
        connect_timeout: dispatcher.connect_timeout,
        idle_connection: dispatcher.idle_connection,
    }
}
