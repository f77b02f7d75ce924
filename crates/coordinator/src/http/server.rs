//! Connections: an accept loop of our own, since a server must not wait for ever for a
//! slow header, take connections without bound, or drop answers when it stops.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutWriter;
use tower::util::MapRequest;

use crate::http::extract::peer::Peer;

/// How long accepting rests after it failed: when the process has no file handles
/// left, trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The longest line and headers of a request together, in bytes.
const HEAD_BYTES: usize = 64 * 1_024;

/// Bounds of the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Connections open at a time; further ones wait to be accepted.
    pub max_connections: usize,
    /// Longest time for a request's head to arrive, also on a connection kept open.
    pub header_read_timeout: Duration,
    /// Longest time in which a client takes nothing of its answer.
    pub write_timeout: Duration,
    /// How long answers under way are waited for once the server stops.
    pub grace: Duration,
}

/// Serves until `stop` ends, then takes no more connections, lets what is being
/// answered be answered within the grace, and closes the rest.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &room) => accepted,
            // Connections that ended are let go as they end.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let connection = connection(stream, peer, router.clone(), settings);
                let connection = graceful.watch(connection);
                connections.spawn(async move {
                    // Broken connections are the other side's affair, and frequent.
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    drop(place);
                });
            }
            // The other side gave up before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(event = "connection_not_accepted", %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(settings.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            event = "connections_closed_unanswered",
            open = connections.len(),
            "connections are closed before they were answered"
        );
    }
    connections.shutdown().await;
}

/// A connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    // Answers are small; holding them back to fill a packet costs 40 ms. It fails only on a
    // connection that is gone already.
    let _ = stream.set_nodelay(true);
    Ok((stream, Peer(address), place))
}

/// Writes into each request whom it is from.
trait Named: Fn(Request<Incoming>) -> Request<Incoming> + Clone {}

impl<F: Fn(Request<Incoming>) -> Request<Incoming> + Clone> Named for F {}

/// A connection whose client must take its answers in time.
type Stream = TokioIo<Pin<Box<TimeoutWriter<TcpStream>>>>;

fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    settings: ServerSettings,
) -> http1::Connection<Stream, TowerToHyperService<MapRequest<Router, impl Named>>> {
    // A client that asks and never reads would otherwise keep its connection, and the answer in
    // memory, for as long as it likes.
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(settings.write_timeout));
    let stream = Box::pin(stream);
    let named = MapRequest::new(router, move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_read_timeout)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(named))
}
