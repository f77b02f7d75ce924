//! Connections: an accept loop of our own, since a server must not wait for ever for a
//! slow header, take connections without bound, or drop answers when it stops.
//!
//! ```text
//!  accept ─▶ a place? ─ yes ─▶ full ─────────────┐  (handshake)  hyper ─▶ answering ─▶ entrance ─▶ router
//!               └ no ─▶ a seat? ─ yes ─▶ guest ──┴──────▶ socket ◀──────┘ who is gone?
//!                          └ no ─▶ closed
//! ```

mod answering;
pub(super) mod browsers;
mod guests;
mod handshake;
mod own_answer;
mod socket;
mod tcp;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use metrics::gauge;
use rustls::ServerConfig;
use tercet_wire::metric;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutWriter;

use crate::access::{Certificate, is_loopback};
use crate::http::entrance::Entrance;
use crate::http::extract::peer::{Door, Peer};
use crate::http::server::answering::{Admission, Answering};
pub use crate::http::server::browsers::{Browsers, is_host, is_origin};
use crate::http::server::guests::{Guest, Guests};
use crate::http::server::handshake::Handshakes;
use crate::http::server::socket::{Socket, Stream};
use crate::tls::Held;
use crate::workers::Workers;

/// How long accepting rests after it failed: when the process has no file handles
/// left, trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The longest line and headers of a request together, in bytes.
const HEAD_BYTES: usize = 64 * 1_024;

/// The most header lines of a request; hyper's own limit.
const HEADER_LINES: usize = 100;

/// The longest time for a guest's line and headers to arrive.
const GUEST_HEAD: Duration = Duration::from_secs(1);

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admits {
    /// Up to `max_connections` at a time; further ones wait.
    Everybody,
    /// Likewise; further ones are asked what they want, and probes are answered.
    EverybodyAndProbes,
    /// A few, for probes alone.
    ProbesAlone,
}

/// Bounds of the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Who is let in.
    pub admits: Admits,
    /// Connections open at a time.
    pub max_connections: usize,
    /// Longest time for a request's head to arrive, also on a connection kept open.
    pub header_read_timeout: Duration,
    /// Longest time in which a client takes nothing of its answer.
    pub write_timeout: Duration,
    /// How long answers under way are waited for once the server stops, at most.
    pub grace: Duration,
}

/// Where is listened.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    tls: Option<Arc<Held<ServerConfig>>>,
    workers: Workers,
}

impl Port {
    /// One that speaks TLS, if this is given.
    pub(crate) fn new(listener: TcpListener, tls: Option<Arc<Held<ServerConfig>>>) -> Self {
        Self { listener, tls, workers: Workers::here() }
    }

    /// The same, with connections that are answered there.
    pub(crate) fn at(self, workers: Workers) -> Self {
        Self { workers, ..self }
    }
}

impl From<TcpListener> for Port {
    fn from(listener: TcpListener) -> Self {
        Self::new(listener, None)
    }
}

/// Serves until `stop` ends, which says how much of the grace is left; then takes no more
/// connections, lets what is being answered be answered within that, and closes the rest.
pub async fn serve(
    port: impl Into<Port>,
    entrance: Entrance,
    settings: ServerSettings,
    stop: impl Future<Output = Duration>,
) {
    let Port { listener, tls, workers } = port.into();
    let tls = tls.map(|held| (held, Handshakes::register()));
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let (stopping, stops) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut guests = Guests::default();
    let mut stop = std::pin::pin!(stop);
    let door = Door {
        for_probes: settings.admits == Admits::ProbesAlone,
        // One that is not known to be is taken for one that others reach.
        is_on_loopback: listener.local_addr().is_ok_and(is_loopback),
        has_tls: tls.is_some(),
    };
    let port = if door.for_probes { "admin" } else { "main" };
    let open = gauge!(metric::HTTP_CONNECTIONS, "port" => port);
    let left = loop {
        open.set(open_connections(&connections));
        let accepted = tokio::select! {
            left = &mut stop => break left,
            accepted = accept(&listener, &room, settings.admits) => accepted,
            // Connections that ended are let go as they end.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok(Accepted { admission, .. })
                if admission.guest().is_some() && !guests.have_room() =>
            {
                // It is closed: those for whom there is room are all being answered.
                entrance.has_no_place();
            }
            Ok(Accepted { stream, peer, admission, place }) => {
                let peer = Peer { address: peer, door };
                let guest = admission.guest().cloned();
                let entrance = entrance.clone();
                let (worker, is_another) = workers.next();
                let Ok(stream) = Arrived::new(stream, is_another) else { continue };
                let connecting = Connecting { stream, peer, entrance, admission, settings };
                let watcher = graceful.watcher();
                let task = match &tls {
                    None => connections.spawn_on(connecting.plain(watcher, place), worker),
                    Some((held, handshakes)) => {
                        let tls = (held.get(), handshakes.clone());
                        let by_tls = connecting.by_tls(tls, stops.clone(), watcher, place);
                        connections.spawn_on(by_tls, worker)
                    }
                };
                if let Some(guest) = &guest {
                    guests.seat(guest, task);
                }
            }
            // The other side gave up before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(event = "connection_not_accepted", %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    };
    drop(listener);
    // Who has asked nothing yet is not waited for.
    let _ = stopping.send(true);
    let left = left.min(settings.grace);
    if tokio::time::timeout(left, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            event = "connections_closed_unanswered",
            open = connections.len(),
            "connections are closed before they were answered"
        );
    }
    connections.shutdown().await;
}

#[expect(clippy::cast_precision_loss, reason = "bounded far below 2^52")]
fn open_connections(connections: &JoinSet<()>) -> f64 {
    connections.len() as f64
}

/// A connection that was let in.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    admission: Admission,
    place: Option<OwnedSemaphorePermit>,
}

/// A connection, once one comes and may be let in.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    admits: Admits,
) -> io::Result<Accepted> {
    let mut place = match admits {
        Admits::Everybody => {
            Some(Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?)
        }
        Admits::EverybodyAndProbes | Admits::ProbesAlone => None,
    };
    let (stream, peer) = listener.accept().await?;
    // Answers are small; holding them back to fill a packet costs 40 ms. It fails only on a
    // connection that is gone already.
    let _ = stream.set_nodelay(true);
    if admits == Admits::EverybodyAndProbes {
        place = Arc::clone(room).try_acquire_owned().ok();
    }
    let admission = match (admits, &place) {
        (Admits::ProbesAlone, _) => Admission::Probes(Guest::new()),
        (_, Some(_)) => Admission::Full,
        (_, None) => Admission::Guest(Guest::new(), Arc::clone(room)),
    };
    Ok(Accepted { stream, peer, admission, place })
}

/// A connection whose client must take its answers in time.
type Io = TokioIo<Pin<Box<TimeoutWriter<Stream>>>>;

/// A socket on its way to who waits on it: each runtime wakes for those that it has itself.
enum Arrived {
    Here(TcpStream),
    Elsewhere(std::net::TcpStream),
}

impl Arrived {
    fn new(stream: TcpStream, is_elsewhere: bool) -> io::Result<Self> {
        if !is_elsewhere {
            return Ok(Self::Here(stream));
        }
        stream.into_std().map(Self::Elsewhere)
    }

    fn take(self) -> io::Result<TcpStream> {
        match self {
            Self::Here(stream) => Ok(stream),
            Self::Elsewhere(stream) => TcpStream::from_std(stream),
        }
    }
}

/// A connection that nothing was said on yet.
struct Connecting {
    stream: Arrived,
    peer: Peer,
    entrance: Entrance,
    admission: Admission,
    settings: ServerSettings,
}

impl Connecting {
    /// Speaks HTTP on it until it ends, and gives its place back then.
    async fn plain(self, watcher: Watcher, place: Option<OwnedSemaphorePermit>) {
        let Self { stream, peer, entrance, admission, settings } = self;
        let Ok(stream) = stream.take() else { return };
        let connected = Connected { socket: Socket::plain(Arc::new(stream)), certificate: None };
        until_it_ends(connected.http(peer, &entrance, &admission, settings), watcher).await;
        drop(place);
    }

    /// Likewise, once TLS is spoken on it.
    async fn by_tls(
        self,
        (tls, handshakes): (Arc<ServerConfig>, Handshakes),
        mut stops: watch::Receiver<bool>,
        watcher: Watcher,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let Self { stream, peer, entrance, admission, settings } = self;
        let Ok(stream) = stream.take() else { return };
        let within = head_within(&admission, settings);
        // In a box: it takes far more room than the rest of a connection, and not for long.
        let greeting = Box::pin(handshakes.greet(tls, (stream, peer.address), within));
        let greeted = tokio::select! {
            greeted = greeting => greeted,
            _ = stops.wait_for(|stops| *stops) => None,
        };
        if let Some((tls, certificate)) = greeted {
            let connected = Connected { socket: Socket::tls(tls), certificate };
            until_it_ends(connected.http(peer, &entrance, &admission, settings), watcher).await;
        }
        drop(place);
    }
}

async fn until_it_ends(connection: http1::Connection<Io, Answering>, watcher: Watcher) {
    // Broken connections are the other side's affair, and frequent.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// How long the first request's head may take, and a handshake before it.
fn head_within(admission: &Admission, settings: ServerSettings) -> Duration {
    match admission {
        Admission::Full => settings.header_read_timeout,
        Admission::Guest(..) | Admission::Probes(_) => settings.header_read_timeout.min(GUEST_HEAD),
    }
}

/// A connection that HTTP can be spoken on.
struct Connected {
    socket: Arc<Socket>,
    certificate: Option<Certificate>,
}

impl Connected {
    fn http(
        self,
        peer: Peer,
        entrance: &Entrance,
        admission: &Admission,
        settings: ServerSettings,
    ) -> http1::Connection<Io, Answering> {
        let Self { socket, certificate } = self;
        // A client that asks and never reads would otherwise keep its connection, and the answer in
        // memory, for as long as it likes.
        let mut stream =
            TimeoutWriter::new(Stream::new(Arc::clone(&socket), Arc::clone(entrance.metrics())));
        stream.set_timeout(Some(settings.write_timeout));
        let stream = TokioIo::new(Box::pin(stream));
        let answering = Answering {
            entrance: entrance.clone(),
            peer,
            admission: admission.clone(),
            socket,
            certificate,
        };
        http1::Builder::new()
            .timer(TokioTimer::new())
            // A client may close its sending side and wait; whether it is gone, the socket knows.
            .half_close(true)
            .keep_alive(matches!(admission, Admission::Full))
            .header_read_timeout(head_within(admission, settings))
            .max_header_size(HEAD_BYTES)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(stream, answering)
    }
}
