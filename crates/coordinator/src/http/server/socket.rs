//! The socket of a connection. hyper reads and writes it; the answer under way looks at it, to
//! know whether anybody still waits.
//!
//! A client that closes its sending side and one that is gone look the same: the socket says that
//! nothing more comes. The difference shows when a byte is sent, since the system of the one that
//! is gone answers with a reset. So the first letter of the answer goes ahead: whoever only
//! half-closed takes it for what it is, and hyper's own first letter is left out. Where TLS is spoken
//! the letter goes by it, in a record of its own.

use std::future::pending;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::tcp;
use crate::http::middleware::request_metrics::RequestMetrics;
use crate::http::server::own_answer::{OwnAnswer, in_place_of};
use crate::http::server::tcp::Tcp;

/// What every answer begins with: `HTTP/1.1`.
const FIRST_LETTER: &[u8; 1] = b"H";

/// A connection's socket, and what both sides must know of it. They run in one task.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    /// What is spoken on it, if it is not HTTP itself.
    tls: Option<Mutex<TlsStream<Tcp>>>,
    /// All that was to be written is written: what comes next begins an answer.
    flushed: AtomicBool,
    /// The first letter of the next answer is sent already.
    first_letter_sent: AtomicBool,
    /// Bytes read since the last request was whole.
    head_bytes: AtomicUsize,
}

impl Socket {
    /// One on which HTTP is spoken.
    pub(super) fn plain(stream: Arc<TcpStream>) -> Arc<Self> {
        Self::new(stream, None)
    }

    /// One on which TLS is.
    pub(super) fn tls(stream: TlsStream<Tcp>) -> Arc<Self> {
        Self::new(stream.get_ref().0.stream(), Some(Mutex::new(stream)))
    }

    fn new(stream: Arc<TcpStream>, tls: Option<Mutex<TlsStream<Tcp>>>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            tls,
            flushed: AtomicBool::new(true),
            first_letter_sent: AtomicBool::new(false),
            head_bytes: AtomicUsize::new(0),
        })
    }

    /// A request has come in whole, or its head has.
    pub(super) fn has_request(&self) {
        self.head_bytes.store(0, Ordering::Relaxed);
    }

    /// Ends when nobody is there any more to take the answer under way; never, while somebody is.
    pub(super) async fn hung_up(&self) {
        if !self.nothing_more_comes().await {
            return pending().await;
        }
        // An answer before this one is still being taken, so somebody is there.
        if !self.flushed.load(Ordering::Relaxed) {
            return pending().await;
        }
        if !self.first_letter_sent.load(Ordering::Relaxed) {
            match self.write_first_letter() {
                Ok(1) => self.first_letter_sent.store(true, Ordering::Relaxed),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => return pending().await,
            }
        }
        // A reset is the only error a socket has by itself.
        if self.stream.ready(Interest::ERROR).await.is_err() {
            pending::<()>().await;
        }
    }

    /// How much of it was taken.
    fn write_first_letter(&self) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.stream.try_write(FIRST_LETTER) };
        let mut tls = locked(tls);
        let (tcp, session) = tls.get_mut();
        session.writer().write_all(FIRST_LETTER)?;
        while session.wants_write() {
            match session.write_tls(&mut tcp.at_once()) {
                // What does not fit now goes out with the rest of the answer.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                written => written?,
            };
        }
        Ok(FIRST_LETTER.len())
    }

    /// Whether the other side has said that it sends nothing more. Waits for that without being
    /// woken by what it sends: the interest in urgent data hears of the end, too.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    async fn nothing_more_comes(&self) -> bool {
        let ready = self.stream.ready(Interest::PRIORITY).await;
        ready.is_ok_and(|ready| ready.is_read_closed())
    }

    /// Elsewhere it is not told apart from what is sent; then waits end by their own time alone.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    async fn nothing_more_comes(&self) -> bool {
        false
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let ahead = usize::from(self.first_letter_sent.load(Ordering::Relaxed)).min(bytes.len());
        let written = if bytes.len() > ahead {
            ready!(self.poll_write_rest(context, &bytes[ahead..]))?
        } else {
            0
        };
        if ahead > 0 {
            self.first_letter_sent.store(false, Ordering::Relaxed);
        }
        Poll::Ready(Ok(ahead + written))
    }

    fn poll_write_rest(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.tls {
            None => tcp::poll_write(&self.stream, context, bytes),
            Some(tls) => Pin::new(&mut *locked(tls)).poll_write(context, bytes),
        }
    }

    fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &self.tls {
            None => tcp::poll_read(&self.stream, context, buffer),
            Some(tls) => Pin::new(&mut *locked(tls)).poll_read(context, buffer),
        }
    }
}

/// Nobody else has it: both sides run in one task, one after the other.
fn locked(tls: &Mutex<TlsStream<Tcp>>) -> MutexGuard<'_, TlsStream<Tcp>> {
    tls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// hyper's end of the socket.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Arc<Socket>,
    /// What is written in place of what hyper gave to be written.
    instead: Option<Instead>,
    /// Counts what hyper answers itself, which nobody else sees.
    metrics: Arc<RequestMetrics>,
}

#[derive(Debug)]
struct Instead {
    text: Vec<u8>,
    written: usize,
}

impl Stream {
    pub(super) fn new(socket: Arc<Socket>, metrics: Arc<RequestMetrics>) -> Self {
        Self { socket, instead: None, metrics }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (socket, before) = (&self.socket, buffer.filled().len());
        ready!(socket.poll_read(context, buffer))?;
        socket.head_bytes.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { socket, instead, metrics } = self.get_mut();
        socket.flushed.store(false, Ordering::Relaxed);
        if instead.is_none() {
            let own = in_place_of(bytes, socket.head_bytes.load(Ordering::Relaxed));
            *instead = own.map(|OwnAnswer { status, text }| {
                metrics.turned_away(status);
                Instead { text, written: 0 }
            });
        }
        let Some(Instead { text, written }) = instead else {
            return socket.poll_write(context, bytes);
        };
        while *written < text.len() {
            match ready!(socket.poll_write(context, &text[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        *instead = None;
        Poll::Ready(Ok(bytes.len()))
    }

    /// One buffer at a time: then hyper copies an answer into one, and writes it in one piece.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = buffers.iter().find(|buffer| !buffer.is_empty());
        self.poll_write(context, first.map_or(&[][..], |buffer| buffer))
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    /// hyper asks for it only when all it had is written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &self.socket.tls {
            ready!(Pin::new(&mut *locked(tls)).poll_flush(context))?;
        }
        self.socket.flushed.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.socket.tls {
            None => Poll::Ready(tcp::shut_down(&self.socket.stream)),
            // Whoever reads it learns that this was the end, and not somebody in between.
            Some(tls) => Pin::new(&mut *locked(tls)).poll_shutdown(context),
        }
    }
}
