//! The daemon put together: journal, dispatcher and engine (`node`), and the HTTP face
//! before them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tercet_clock::{Clock, SystemClock};
use tercet_engine::history_bound;
use tercet_journal::StoreKind;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Settings;
use crate::http::{self, Api, Readiness, RequestLimits, ServerSettings};
use crate::node::{Node, NodeError};
use crate::open_files::{self, TooFew};
use crate::runtime::for_what_is_in_flight;

/// Why the daemon could not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Its address is taken or is not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The process may have too few files open.
    #[error(transparent)]
    OpenFiles(#[from] TooFew),
    /// Journal, dispatcher or engine could not be started, or failed.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Runs until `stop` turns true and what was in flight has ended, or the grace is over.
/// `ready` is told where it listens, once it does and is recovered.
///
/// # Errors
/// It could not start, or its engine ended by itself.
pub async fn serve(
    settings: &Settings,
    store: StoreKind,
    metrics: PrometheusHandle,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    if store == StoreKind::InMemoryForBenchmarks {
        tracing::warn!(
            event = "not_durable",
            "NOT DURABLE: --memory-journal-for-benchmarks keeps transactions in memory alone; \
             all of them are lost when this process ends"
        );
    }
    let max_connections = settings.server.max_connections;
    let shares = open_files::raise_and_share(max_connections, settings.database.read_connections)?;
    let address = settings.server.listen;
    let listen = |cause| ServeError::Listen { address, cause };
    // The address comes first, since the node is known by it; who connects before the node
    // has recovered waits to be accepted.
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let readiness = Readiness::default();
    let node =
        Node::start(settings, store, address, shares, &clock, &readiness, stop.clone()).await?;
    let dispatcher = node.dispatcher.clone();
    let router = http::router(Api {
        engine: node.engine.clone(),
        journal: node.journal.clone(),
        clock,
        limits: settings.limits.of_requests(vec![address]),
        requests: RequestLimits {
            max_bytes: settings.server.max_request_bytes,
            body_timeout: settings.server.body_read_timeout,
        },
        history_lines: history_bound(
            settings.history.lines_per_transaction,
            settings.limits.branches,
        ),
        readiness: readiness.clone(),
        metrics,
        participants: Arc::new(move || dispatcher.participants()),
        transactions: node.transactions.clone(),
    });
    let server = ServerSettings {
        max_connections: shares.connections,
        header_read_timeout: settings.server.header_read_timeout,
        write_timeout: settings.server.write_timeout,
        grace: for_what_is_in_flight(settings.shutdown.grace),
    };
    tracing::info!(event = "started",
        listen = %format_args!("http://{address}"),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    ready(address);
    http::serve(listener, router, server, stopped(stop, node.ended(), readiness)).await;
    node.stopped().await?;
    tracing::info!(event = "stopped", "stopped");
    Ok(())
}

/// Ends when the daemon is to stop; from then on new work is refused, also on connections
/// that are open already.
async fn stopped(
    mut stop: watch::Receiver<bool>,
    engine_ended: impl Future<Output = ()>,
    readiness: Readiness,
) {
    tokio::select! {
        // A sender that is gone will never ask us to run on either.
        _ = stop.wait_for(|stop| *stop) => {}
        () = engine_ended => tracing::error!(event = "engine_ended", "the engine ended by itself: stopping"),
    }
    readiness.stop();
}
