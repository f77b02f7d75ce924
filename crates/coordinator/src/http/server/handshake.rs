//! TLS before HTTP: within the time that a request's head has, and no client waits for another's.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use rustls::ServerConfig;
use tercet_clock::Stopwatch;
use tercet_wire::metric;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tcp::{self, Tcp};
use crate::access::Certificate;
use crate::tls::names;

/// From one log line to the next, at least: whoever tries fills no disk.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// What is still heard of a client that was turned away, in bytes and time, so that it reads why before it
/// finds its connection gone.
const HEARD_OUT: u64 = 64 * 1_024;
const HEARD_OUT_FOR: Duration = Duration::from_secs(1);

/// Greets clients.
#[derive(Clone)]
pub(super) struct Handshakes {
    failed: Arc<Failed>,
}

struct Failed {
    counter: Counter,
    told: Mutex<Told>,
}

/// What was logged.
#[derive(Default)]
struct Told {
    since: Option<Stopwatch>,
    /// How many failed since.
    untold: u64,
}

impl Handshakes {
    pub(super) fn register() -> Self {
        let counter = counter!(metric::TLS_HANDSHAKES_FAILED);
        counter.increment(0);
        Self { failed: Arc::new(Failed { counter, told: Mutex::default() }) }
    }

    /// A connection on which TLS is spoken, and the certificate that came by it where one is asked for.
    /// None: the client speaks no TLS, or none that would do, or was not done in time.
    pub(super) async fn greet(
        &self,
        tls: Arc<ServerConfig>,
        (stream, peer): (TcpStream, SocketAddr),
        within: Duration,
    ) -> Option<(TlsStream<Tcp>, Option<Certificate>)> {
        let stream = Arc::new(stream);
        let accepting = TlsAcceptor::from(tls).accept(Tcp::new(Arc::clone(&stream)));
        match timeout(within, accepting).await {
            Ok(Ok(tls)) => {
                let certificate = certificate(&tls);
                Some((tls, certificate))
            }
            Ok(Err(error)) => {
                self.failed.tell(&error, peer);
                hear_out(stream).await;
                None
            }
            Err(_) => {
                self.failed.counter.increment(1);
                None
            }
        }
    }
}

fn certificate(tls: &TlsStream<Tcp>) -> Option<Certificate> {
    let chain = tls.get_ref().1.peer_certificates()?;
    Some(Certificate::of(names(chain.first()?)))
}

/// A connection that is closed while something has come that nobody reads is reset, and with it goes the
/// alert that says what was wrong.
async fn hear_out(stream: Arc<TcpStream>) {
    let _ = tcp::shut_down(&stream);
    let mut rest = Tcp::new(stream).take(HEARD_OUT);
    let mut buffer = [0; 4_096];
    let hearing = async { while matches!(rest.read(&mut buffer).await, Ok(1..)) {} };
    let _ = timeout(HEARD_OUT_FOR, hearing).await;
}

impl Failed {
    fn tell(&self, error: &io::Error, peer: SocketAddr) {
        self.counter.increment(1);
        // One that was lost, or was a balancer's look whether anybody listens, is nobody's mistake.
        let Some(why) = reason(error) else { return };
        let Some(failed) = self.to_tell() else { return };
        tracing::warn!(
            event = "tls_handshake_failed",
            why,
            from = %peer.ip(),
            failed,
            "clients came with whom TLS could not be spoken"
        );
    }

    /// How many are to be told of by now; none if somebody was told just before.
    fn to_tell(&self) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.untold += 1;
        if told.since.as_ref().is_some_and(|since| since.elapsed() < LOG_EVERY) {
            return None;
        }
        told.since = Some(Stopwatch::start());
        Some(std::mem::take(&mut told.untold))
    }
}

fn reason(error: &io::Error) -> Option<String> {
    let within = error.get_ref().map(|cause| cause as &(dyn Error + 'static));
    let tls = within.and_then(|cause| cause.downcast_ref::<rustls::Error>())?;
    Some(match tls {
        rustls::Error::InvalidMessage(_) => {
            "what came is no TLS: plain HTTP, where https is meant?".to_owned()
        }
        other => other.to_string(),
    })
}
