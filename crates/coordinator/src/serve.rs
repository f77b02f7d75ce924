//! The daemon put together: journal, dispatcher and engine (`node`), and the HTTP face
//! before them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tercet_clock::{Clock, SystemClock};
use tercet_engine::history_bound;
use tercet_journal::{JournalError, MemoryRows, StoreKind, database_file};
use tercet_wire::Backoff;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::access::{self, Access, AccessError, is_loopback};
use crate::config::Settings;
use crate::http::{
    self, Admits, Api, BodyBudget, Browsers, ConsoleSettings, Entrance, Port, Readiness,
    RequestLimits, ServerSettings,
};
use crate::metrics::Resources;
use crate::node::{Node, NodeError, Rows, Surroundings};
use crate::open_files::{self, TooFew};
use crate::reading_again::keep_reading;
use crate::runtime::for_what_is_in_flight;
use crate::sagas::Sagas;
use crate::servers::{ServerEnded, Servers};
use crate::signals::Stop;
use crate::tls::{Tls, TlsError};
use crate::workers::Workers;

/// The pauses before a node that was fenced tries again to begin its next life.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// How long the last spans may take to be told.
const TELLING: Duration = Duration::from_secs(1);

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
    /// It is not said who is let in, or not so that it could be kept.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A certificate, a key or an authority cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Journal, dispatcher or engine could not be started, or failed.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// What runs already where a daemon is started.
#[derive(Debug)]
pub struct Running {
    /// What is counted.
    pub metrics: PrometheusHandle,
    /// Where connections and calls run.
    pub workers: Workers,
    /// Tells when it is to stop.
    pub stop: watch::Receiver<Stop>,
}

/// Runs until it is to stop and what was in flight has ended, or the grace is over.
/// `ready` is told where it listens, once it does and is recovered.
///
/// # Errors
/// It could not start, or its engine or one of its servers ended by itself.
pub async fn serve(
    settings: &Settings,
    store: StoreKind,
    restored: bool,
    running: Running,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let rows = match store {
        StoreKind::InDatabase if restored => {
            let (url, now) = (settings.database.url.expose(), SystemClock::start().now().wall);
            tercet_journal::hold(url, now, "serve --restored").await.map_err(NodeError::from)?;
            Rows::Restored
        }
        StoreKind::InDatabase => Rows::InDatabase,
        StoreKind::InMemoryForBenchmarks => {
            tracing::warn!(
                event = "not_durable",
                "NOT DURABLE: --memory-journal-for-benchmarks keeps transactions in memory alone; \
                 all of them are lost when this process ends"
            );
            Rows::InMemory(MemoryRows::of_live_transactions_alone())
        }
    };
    serve_on(settings, rows, running, ready).await
}

/// The same on rows that are there already.
pub(crate) async fn serve_on(
    settings: &Settings,
    rows: Rows,
    running: Running,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let Running { metrics, workers, stop } = running;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let access = Access::begin(settings, Arc::clone(&clock))?;
    let access = Arc::new(access);
    let tls = Tls::begin(settings)?;
    tell_of(&access, settings.server.listen);
    let max_connections = settings.server.max_connections;
    let has_others = settings.is_shared() || matches!(rows, Rows::InMemory(_));
    let readers = settings.database.read_connections;
    let shares = open_files::raise_and_share(max_connections, readers, has_others)?;
    let (listener, address) = listen(settings.server.listen).await?;
    let admin = match settings.server.admin_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let readiness = Readiness::default();
    let entrance = Entrance::closed(&readiness).for_browsers(Browsers {
        allowed_origins: settings.server.allowed_origins.clone(),
        allowed_hosts: settings.server.allowed_hosts.clone(),
        is_open: !access.has_rules(),
    });
    // The face comes first: whoever supervises the process is answered while it takes up what was
    // unfinished, however much that is.
    let mut servers = Servers::new();
    let admits = if admin.is_some() { Admits::Everybody } else { Admits::EverybodyAndProbes };
    let main = server_settings(settings, shares.connections, admits);
    let closing = servers.closing();
    let port = Port::new(listener, tls.server.clone()).at(workers.clone());
    servers.answer_requests(http::serve(port, entrance.clone(), main, closing));
    let mut own_addresses = vec![address];
    if let Some((listener, address)) = admin {
        tracing::info!(event = "admin_listening", listen = %format_args!("http://{address}"), "probes are answered here");
        own_addresses.push(address);
        let settings = server_settings(settings, shares.connections, Admits::ProbesAlone);
        let probes = http::serve(listener, entrance.clone(), settings, std::future::pending());
        servers.answer_probes(probes);
    }
    servers.keep(access::keep_up(Arc::clone(&access), tls.clone()));
    servers.keep(keep_reading(tls.files()));
    let database = match &rows {
        Rows::InDatabase | Rows::Restored => database_file(settings.database.url.expose()),
        Rows::InMemory(_) => None,
    };
    servers.keep(Resources::of(clock.now().wall, database, tls.clone()).keep_looking());
    let around = Surroundings::new(settings, rows, address, shares, &tls, clock, readiness).await;
    let around = around.at(workers);
    Face { servers, entrance, own_addresses, metrics, access, around }.serve(stop, ready).await
}

/// What answers already, before there is an engine behind it, and while one follows another.
struct Face {
    servers: Servers,
    entrance: Entrance,
    /// No branch may lead to any of them.
    own_addresses: Vec<SocketAddr>,
    metrics: PrometheusHandle,
    access: Arc<Access>,
    around: Surroundings,
}

impl Face {
    async fn serve(
        mut self,
        mut stop: watch::Receiver<Stop>,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), ServeError> {
        // The engine is told to stop by us, since we may have to without having been asked.
        let (halt, halted) = watch::channel(false);
        let mut node = Node::start(&self.around, halted.clone()).await?;
        self.opens(&node);
        let address = self.around.listens_on;
        tracing::info!(event = "started",
            listen = %format_args!("{}://{address}", self.around.settings.server.tls.scheme()),
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        ready(address);
        let (why, node) = loop {
            let why = self.why_stop(&mut stop, node.ended()).await;
            if !matches!(why, Why::EngineEnded) || node.forwarder.is_none() {
                break (why, Some(node));
            }
            match node.stopped().await {
                Err(NodeError::Fenced) => {}
                ended => break (Why::EngineEnded, ended.map(|()| None)?),
            }
            self.is_fenced();
            node = match self.begins_anew(&mut stop, &halted).await? {
                Ok(node) => node,
                Err(why) => break (why, None),
            };
            self.opens(&node);
            tracing::info!(event = "joined_again", "this node takes work again, with a new life");
        };
        why.tell();
        // From here on new work is refused. Whoever comes is told so, until nothing is in flight.
        self.around.readiness.stop();
        let since = self.around.clock.mono();
        let _ = halt.send(true);
        let grace = for_what_is_in_flight(self.around.settings.shutdown.grace);
        if let Some(node) = &node {
            node.ended().await;
        }
        let left = grace.saturating_sub(self.around.clock.mono().since(since));
        let closed = match node {
            // The others take over at once, whoever is still being answered.
            Some(node) if node.forwarder.is_some() => {
                let (closed, stopped) = tokio::join!(self.servers.close(left), node.stopped());
                stopped?;
                closed
            }
            Some(node) => {
                let closed = self.servers.close(left).await;
                node.stopped().await?;
                closed
            }
            None => self.servers.close(left).await,
        };
        self.around.traces.finish(TELLING).await;
        why.well()?;
        closed?;
        tracing::info!(event = "stopped", "stopped");
        Ok(())
    }

    /// From here on this node answers what comes in.
    fn opens(&self, node: &Node) {
        let (around, dispatcher) = (&self.around, node.dispatcher.clone());
        let settings = &around.settings;
        let console = settings.console.enabled.then(|| ConsoleSettings {
            settings: Arc::clone(&settings.shown.0),
            recent: around.recent.clone(),
        });
        self.entrance.open(http::router(Api {
            access: Arc::clone(&self.access),
            engine: node.engine.clone(),
            journal: node.journal.clone(),
            sagas: Sagas::new(node.journal.clone()),
            jobs: node.jobs.clone(),
            clock: Arc::clone(&around.clock),
            limits: settings.of_requests(self.own_addresses.clone()),
            requests: request_limits(settings),
            history_lines: history_bound(
                settings.history.lines_per_transaction,
                settings.limits.branches,
            ),
            readiness: around.readiness.clone(),
            metrics: self.metrics.clone(),
            participants: Arc::new(move || dispatcher.participants()),
            nodes: around.sightings.clone(),
            transactions: around.transactions.clone(),
            pauses: node.pauses.clone(),
            forwarder: node.forwarder.clone(),
            console,
        }));
        around.readiness.start();
    }

    /// Others drive what this node drove. What comes in until it has begun anew is answered that
    /// nobody can say, by what is left of the old life.
    fn is_fenced(&self) {
        let around = &self.around;
        around.readiness.begin_anew();
        around.nodes.was_fenced();
        let node_id = around.settings.node_id(around.listens_on);
        tracing::warn!(
            event = "joining_again",
            node_id,
            "this node was fenced, since it gave no sign of life or another has taken its name; the \
             others drive on what it drove, and it joins them again with a new life"
        );
        let why = "it found itself fenced, and joins again";
        around.alerts.node_fenced(&node_id, why, around.clock.now());
    }

    /// The next life of the node, however long the database cannot be used; or why the daemon stops
    /// first.
    ///
    /// # Errors
    /// Another process has the node's name.
    async fn begins_anew(
        &mut self,
        stop: &mut watch::Receiver<Stop>,
        halted: &watch::Receiver<bool>,
    ) -> Result<Result<Node, Why>, NodeError> {
        let mut failures = 0;
        loop {
            let (around, servers) = (&self.around, &mut self.servers);
            let begins = Node::start(around, halted.clone());
            let error = tokio::select! {
                biased;
                why = why_not(stop, &around.readiness, servers.ended()) => return Ok(Err(why)),
                begun = begins => match begun {
                    Ok(node) => return Ok(Ok(node)),
                    // That one has fenced this one, or will be here for longer than this one waits.
                    Err(error @ NodeError::Journal(JournalError::NodeIdTaken { .. })) => {
                        return Err(error);
                    }
                    Err(error) => error,
                },
            };
            failures += 1;
            tracing::error!(
                event = "not_joined_again",
                error = &error as &dyn std::error::Error,
                "this node cannot begin its next life; it is tried again until it can"
            );
            let pause = AGAIN.pause(failures, around.clock.now().entropy, None);
            tokio::select! {
                biased;
                why = why_not(stop, &around.readiness, servers.ended()) => return Ok(Err(why)),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Ends when the daemon is to stop. Engine and servers are told to only after this, so whichever
    /// ends before does so by itself.
    async fn why_stop(
        &mut self,
        stop: &mut watch::Receiver<Stop>,
        engine_ended: impl Future<Output = ()>,
    ) -> Why {
        why_stop(stop, &self.around.readiness, engine_ended, self.servers.ended()).await
    }
}

/// Whoever watches the log is to know that everybody is let in.
fn tell_of(access: &Access, listen: SocketAddr) {
    if !access.has_rules() && !is_loopback(listen) {
        tracing::warn!(
            event = "access_open",
            %listen,
            "auth.allow_anonymous: whoever reaches this address may do everything"
        );
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

async fn why_stop(
    stop: &mut watch::Receiver<Stop>,
    readiness: &Readiness,
    engine_ended: impl Future<Output = ()>,
    server_ended: impl Future<Output = ServerEnded>,
) -> Why {
    tokio::select! {
        biased;
        why = why_not(stop, readiness, server_ended) => why,
        () = engine_ended => Why::EngineEnded,
    }
}

/// The same while there is no engine.
async fn why_not(
    stop: &mut watch::Receiver<Stop>,
    readiness: &Readiness,
    server_ended: impl Future<Output = ServerEnded>,
) -> Why {
    let asked = async {
        // A sender that is gone will never ask us to run on either.
        if stop.wait_for(|stop| *stop >= Stop::Draining).await.is_ok() {
            readiness.drain();
            let _ = stop.wait_for(|stop| *stop >= Stop::Now).await;
        }
    };
    tokio::select! {
        biased;
        () = asked => Why::Asked,
        ended = server_ended => Why::ServerEnded(ended),
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
