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
use crate::http::{
    self, Admits, Api, BodyBudget, Entrance, Readiness, RequestLimits, ServerSettings,
};
use crate::node::{Node, NodeError};
use crate::open_files::{self, Shares, TooFew};
use crate::runtime::for_what_is_in_flight;
use crate::servers::{ServerEnded, Servers};

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
    /// One of its servers ended by itself, or failed while it stopped.
    #[error(transparent)]
    Server(#[from] ServerEnded),
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
/// It could not start, or its engine or one of its servers ended by itself.
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
    let (listener, address) = listen(settings.server.listen).await?;
    let admin = match settings.server.admin_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let readiness = Readiness::default();
    let entrance = Entrance::closed(&readiness);
    // The face comes first: whoever supervises the process is answered while it takes up what was
    // unfinished, however much that is.
    let mut servers = Servers::new();
    let admits = if admin.is_some() { Admits::Everybody } else { Admits::EverybodyAndProbes };
    let main = server_settings(settings, shares.connections, admits);
    let closing = servers.closing();
    servers.answer_requests(http::serve(listener, entrance.clone(), main, closing));
    let mut own_addresses = vec![address];
    if let Some((listener, address)) = admin {
        tracing::info!(event = "admin_listening", listen = %format_args!("http://{address}"), "probes are answered here");
        own_addresses.push(address);
        let settings = server_settings(settings, shares.connections, Admits::ProbesAlone);
        let probes = http::serve(listener, entrance.clone(), settings, std::future::pending());
        servers.answer_probes(probes);
    }
    let face = Face { servers, entrance, readiness, address, own_addresses };
    face.serve(settings, store, shares, metrics, stop, ready).await
}

/// What answers already, before there is an engine behind it.
struct Face {
    servers: Servers,
    entrance: Entrance,
    readiness: Readiness,
    address: SocketAddr,
    /// No branch may lead to any of them.
    own_addresses: Vec<SocketAddr>,
}

impl Face {
    async fn serve(
        mut self,
        settings: &Settings,
        store: StoreKind,
        shares: Shares,
        metrics: PrometheusHandle,
        stop: watch::Receiver<bool>,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), ServeError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        // The engine is told to stop by us, since we may have to without having been asked.
        let (halt, halted) = watch::channel(false);
        let (address, readiness) = (self.address, &self.readiness);
        let node = Node::start(settings, store, address, shares, &clock, readiness, halted).await?;
        let dispatcher = node.dispatcher.clone();
        self.entrance.open(http::router(Api {
            engine: node.engine.clone(),
            journal: node.journal.clone(),
            clock,
            limits: settings.of_requests(self.own_addresses),
            requests: request_limits(settings),
            history_lines: history_bound(
                settings.history.lines_per_transaction,
                settings.limits.branches,
            ),
            readiness: readiness.clone(),
            metrics,
            participants: Arc::new(move || dispatcher.participants()),
            transactions: node.transactions.clone(),
        }));
        readiness.start();
        tracing::info!(event = "started",
            listen = %format_args!("http://{address}"),
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        ready(address);
        let why = why_stop(stop, node.ended(), self.servers.ended()).await;
        why.tell();
        // From here on new work is refused, also on connections that are open already.
        readiness.stop();
        let _ = halt.send(true);
        let closed = self.servers.close().await;
        node.stopped().await?;
        why.well()?;
        closed?;
        tracing::info!(event = "stopped", "stopped");
        Ok(())
    }
}

/// Where this is listened on, once it is.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |cause| ServeError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

pub(crate) fn request_limits(settings: &Settings) -> RequestLimits {
    RequestLimits {
        max_bytes: settings.server.max_request_bytes,
        body_timeout: settings.server.body_read_timeout,
        budget: BodyBudget::new(settings.server.receiving_bytes),
    }
}

pub(crate) fn server_settings(
    settings: &Settings,
    max_connections: usize,
    admits: Admits,
) -> ServerSettings {
    ServerSettings {
        admits,
        max_connections,
        header_read_timeout: settings.server.header_read_timeout,
        write_timeout: settings.server.write_timeout,
        grace: for_what_is_in_flight(settings.shutdown.grace),
    }
}

/// Why the daemon stops.
#[derive(Debug)]
enum Why {
    /// It was asked to.
    Asked,
    /// There is nobody left to serve.
    EngineEnded,
    /// There is nobody left who would let others in.
    ServerEnded(ServerEnded),
}

impl Why {
    fn tell(&self) {
        match self {
            Self::Asked => {}
            Self::EngineEnded => {
                tracing::error!(event = "engine_ended", "the engine ended by itself: stopping");
            }
            Self::ServerEnded(error) => {
                let error: &(dyn std::error::Error + 'static) = error;
                tracing::error!(
                    event = "server_ended",
                    error,
                    "a server ended by itself: stopping"
                );
            }
        }
    }

    /// Whether that is well. How the engine ended, the node says itself.
    fn well(self) -> Result<(), ServerEnded> {
        match self {
            Self::Asked | Self::EngineEnded => Ok(()),
            Self::ServerEnded(error) => Err(error),
        }
    }
}

/// Ends when the daemon is to stop. Engine and servers are told to only after this, so whichever
/// ends before does so by itself.
async fn why_stop(
    mut stop: watch::Receiver<bool>,
    engine_ended: impl Future<Output = ()>,
    server_ended: impl Future<Output = ServerEnded>,
) -> Why {
    tokio::select! {
        biased;
        // A sender that is gone will never ask us to run on either.
        _ = stop.wait_for(|stop| *stop) => Why::Asked,
        () = engine_ended => Why::EngineEnded,
        ended = server_ended => Why::ServerEnded(ended),
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
