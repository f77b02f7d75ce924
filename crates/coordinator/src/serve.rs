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
use tokio::task::{JoinError, JoinSet};

use crate::config::Settings;
use crate::http::{
    self, Admits, Api, BodyBudget, Entrance, Readiness, RequestLimits, ServerSettings,
};
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
    /// A bug of ours. What is durable is safe.
    #[error("the HTTP server's task failed; the next start recovers from the journal")]
    Face(#[source] JoinError),
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
    let (listener, address) = listen(settings.server.listen).await?;
    let admin = match settings.server.admin_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let readiness = Readiness::default();
    let entrance = Entrance::closed(&readiness);
    // The face comes first: whoever supervises the process is answered while it takes up what was
    // unfinished, however much that is.
    let admits = if admin.is_some() { Admits::Everybody } else { Admits::EverybodyAndProbes };
    let main = server_settings(settings, shares.connections, admits);
    let (close, closing) = watch::channel(false);
    let mut servers = JoinSet::new();
    let until_closed = closed(closing.clone());
    servers.spawn(http::serve(listener, entrance.clone(), main, until_closed));
    let own_addresses = own_addresses(address, admin.as_ref());
    // Until the process ends.
    let mut probes = JoinSet::new();
    if let Some((listener, address)) = admin {
        tracing::info!(event = "admin_listening", listen = %format_args!("http://{address}"), "probes are answered here");
        let settings = server_settings(settings, shares.connections, Admits::ProbesAlone);
        probes.spawn(http::serve(listener, entrance.clone(), settings, std::future::pending()));
    }
    let node =
        Node::start(settings, store, address, shares, &clock, &readiness, stop.clone()).await?;
    let dispatcher = node.dispatcher.clone();
    entrance.open(http::router(Api {
        engine: node.engine.clone(),
        journal: node.journal.clone(),
        clock,
        limits: settings.of_requests(own_addresses),
        requests: RequestLimits {
            max_bytes: settings.server.max_request_bytes,
            body_timeout: settings.server.body_read_timeout,
            budget: BodyBudget::new(settings.server.receiving_bytes),
        },
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
    stopped(stop, node.ended(), readiness).await;
    let _ = close.send(true);
    while let Some(served) = servers.join_next().await {
        served.map_err(ServeError::Face)?;
    }
    node.stopped().await?;
    tracing::info!(event = "stopped", "stopped");
    Ok(())
}

/// Where this is listened on, once it is.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |cause| ServeError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// No branch may lead to any of them.
fn own_addresses(
    address: SocketAddr,
    admin: Option<&(TcpListener, SocketAddr)>,
) -> Vec<SocketAddr> {
    let admin = admin.map(|(_, address)| *address);
    std::iter::once(address).chain(admin).collect()
}

fn server_settings(settings: &Settings, max_connections: usize, admits: Admits) -> ServerSettings {
    ServerSettings {
        admits,
        max_connections,
        header_read_timeout: settings.server.header_read_timeout,
        write_timeout: settings.server.write_timeout,
        grace: for_what_is_in_flight(settings.shutdown.grace),
    }
}

/// Ends when no more connections are to be taken. Who would say so and is gone says it, too.
async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Ends when the daemon is to stop; from then on new work is refused, also on connections
/// that are open already.
async fn stopped(
    stop: watch::Receiver<bool>,
    engine_ended: impl Future<Output = ()>,
    readiness: Readiness,
) {
    match why_stop(stop, engine_ended).await {
        Why::Asked => {}
        Why::EngineEnded => {
            tracing::error!(event = "engine_ended", "the engine ended by itself: stopping");
        }
    }
    readiness.stop();
}

/// Why the daemon stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It was asked to.
    Asked,
    /// There is nobody left to serve.
    EngineEnded,
}

/// An engine that has nothing to finish ends in the same moment in which it is asked to, so that
/// both may be seen at once, in either order: it has ended by itself only if nobody asked.
async fn why_stop(mut stop: watch::Receiver<bool>, engine_ended: impl Future<Output = ()>) -> Why {
    let asked = stop.clone();
    tokio::select! {
        biased;
        // A sender that is gone will never ask us to run on either.
        _ = stop.wait_for(|stop| *stop) => Why::Asked,
        () = engine_ended => match *asked.borrow() {
            true => Why::Asked,
            false => Why::EngineEnded,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_that_ends_since_it_was_asked_has_not_ended_by_itself() {
        let (ask, asked) = watch::channel(false);
        assert_eq!(why_stop(asked.clone(), async {}).await, Why::EngineEnded);
        // The question comes while the engine's end is already on its way.
        let both = async { ask.send(true).expect("somebody listens") };
        assert_eq!(why_stop(asked.clone(), both).await, Why::Asked);
        // Both are there already.
        for _ in 0..64 {
            assert_eq!(why_stop(asked.clone(), async {}).await, Why::Asked);
        }
        assert_eq!(why_stop(asked, std::future::pending()).await, Why::Asked);
    }
}
