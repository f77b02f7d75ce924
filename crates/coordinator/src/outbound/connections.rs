//! Connections to participants, kept open from one call to the next.
//!
//! A connection is driven by the task of the call that uses it, and by nobody in between.
//! hyper-util's pooled client gives each a task of its own; to hand every request, answer and
//! body from one task to the other costs more than writing and parsing them.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tercet_engine::{KeptConnections, NoAnswer, is_kept_after, is_sent_again};
use tercet_wire::Mono;
use thiserror::Error;
use tokio::time::sleep;
use url::{Position, Url};

use super::allowance::{Allowance, HEAD_BYTES, TooMuch};
use super::connect::{ConnectError, Connector};
use super::lines::Lines;
use super::shortage::Shortage;
use super::stream::Stream;
use crate::workers;

/// Bytes of an answer's body with all that HTTP writes around it; as much as is read of it, in the
/// smallest of chunks, takes less.
const BODY_BYTES: usize = 1024 * 1024;

/// A connection that has not been made by then may take a second, or never be: whoever makes it takes another that
/// becomes free.
const LONG: Duration = Duration::from_millis(100);

/// The pause until a call that lacked something looks for it again.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);

/// Why a call got no status line.
#[derive(Debug, Error)]
pub(crate) enum CallError<E> {
    /// There is no connection.
    #[error("no connection")]
    Connect(#[source] ConnectError),
    /// The connection broke, or what came is not HTTP.
    #[error("no answer")]
    Answer(#[source] hyper::Error),
    /// What came before an answer has no end.
    #[error("no answer")]
    TooMuch(#[source] TooMuch),
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] E),
}

/// Makes connections and keeps those that can be used again.
pub(crate) struct Connections {
    connector: Connector,
    kept: Mutex<KeptConnections<Connection>>,
    /// Who makes one.
    lines: Lines,
}

/// How a call is made.
pub(crate) struct Sending<'a> {
    /// By a connection of its own, whatever is kept.
    pub(crate) fresh: bool,
    /// What it waits for while this process lacks it: nothing has been sent.
    pub(crate) short: &'a mut Option<Shortage>,
}

impl Connections {
    /// Keeps connections for so long.
    pub(crate) fn new(connector: Connector, kept_for: Duration) -> Self {
        let kept = Mutex::new(KeptConnections::new(kept_for));
        Self { connector, kept, lines: Lines::default() }
    }

    /// Sends a request and waits for its status line. What a kept connection did not send, or
    /// what was on its way on one that its server had closed, is sent again on a fresh one; nothing
    /// else is.
    pub(crate) async fn send<E>(
        &self,
        url: &Url,
        request: impl Fn() -> Result<Request<Full<Bytes>>, E>,
        how: Sending<'_>,
    ) -> Result<(Connection, Response<Incoming>), CallError<E>> {
        let mut written = request().map_err(CallError::Request)?;
        if !how.fresh {
            while let Some(mut connection) = self.take(url) {
                match connection.send(written).await {
                    Ok(response) => return Ok((connection, response)),
                    Err(mut failed) => match failed.take_message() {
                        Some(unsent) => written = unsent,
                        None if is_sent_again(true, connection.heard()) => {
                            written = request().map_err(CallError::Request)?;
                            break;
                        }
                        None => return Err(self.lost(url, &connection, failed.into_error())),
                    },
                }
            }
        }
        // In a box: it takes far more room than the rest of a call, and is seldom needed.
        let connected = match how.fresh {
            true => Box::pin(self.connect_with_patience(url, how.short)).await,
            false => Box::pin(self.connect_in_line(url, how.short)).await,
        };
        // Meanwhile another call may have done with its connection.
        let instead = |error| if how.fresh { None } else { self.take(url) }.ok_or(error);
        let mut connection = connected.or_else(instead).map_err(CallError::Connect)?;
        match connection.send(written).await {
            Ok(response) => Ok((connection, response)),
            Err(failed) => Err(self.lost(url, &connection, failed.into_error())),
        }
    }

    /// Makes a connection, unless one becomes free before its turn has come, or while it takes long.
    async fn connect_in_line(
        &self,
        url: &Url,
        short: &mut Option<Shortage>,
    ) -> Result<Connection, ConnectError> {
        let line = self.lines.of(origin(url));
        loop {
            // It is never closed.
            let place = async { line.places.acquire().await.ok() };
            let place = tokio::select! {
                biased;
                place = place => place,
                () = self.lines.freed(&line) => match self.take(url) {
                    Some(connection) => return Ok(connection),
                    None => continue,
                },
            };
            let freed = async {
                sleep(LONG).await;
                loop {
                    self.lines.freed(&line).await;
                    if let Some(connection) = self.take(url) {
                        return connection;
                    }
                }
            };
            let connected = tokio::select! {
                biased;
                connected = self.connect_with_patience(url, short) => connected,
                connection = freed => Ok(connection),
            };
            drop(place);
            if connected.is_ok() {
                // Whoever took one that became free lacks nothing any more.
                *short = None;
            }
            return connected;
        }
    }

    /// Makes a connection as soon as this process has what it takes.
    async fn connect_with_patience(
        &self,
        url: &Url,
        short: &mut Option<Shortage>,
    ) -> Result<Connection, ConnectError> {
        loop {
            let connected = self.connect(url).await;
            let Err(ConnectError::Shortage(shortage)) = connected else {
                *short = None;
                return connected;
            };
            *short = Some(shortage);
            self.connector.tell(shortage);
            match shortage {
                // Those that are kept for nobody yet make room for those that are needed.
                Shortage::OpenFiles => {
                    let idle = self.kept().forget_all();
                    self.close(idle);
                }
                Shortage::LookUps => {}
            }
            sleep(SHORTAGE_PAUSE).await;
        }
    }

    pub(super) async fn connect(&self, url: &Url) -> Result<Connection, ConnectError> {
        let stream = self.connector.connect(url).await?;
        let allowance = stream.allowance();
        let (requests, driver) = http1::Builder::new()
            // Both are read as RFC 9112 says of answers: a fold is a space (5.2), and what stands
            // between a name and its colon is none of it (5.1).
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            // Nothing is sent or read for it.
            .map_err(|error| ConnectError::Tcp(std::io::Error::other(error)))?;
        let worker = workers::number();
        Ok(Connection { requests, driver: Some(Box::new(driver)), allowance, worker })
    }

    /// A connection was lost, and those beside it may be as dead.
    fn lost<E>(&self, url: &Url, connection: &Connection, error: hyper::Error) -> CallError<E> {
        self.troubled(url, NoAnswer::Lost);
        match connection.allowance.check() {
            Ok(()) => CallError::Answer(error),
            Err(too_much) => CallError::TooMuch(too_much),
        }
    }

    /// A call was not answered.
    pub(crate) fn troubled(&self, url: &Url, how: NoAnswer) {
        let now = self.now();
        self.kept().troubled(origin(url), how, now);
    }

    /// Whether this attempt is to go by a fresh connection.
    pub(crate) fn wants_fresh(&self, url: &Url, attempt: u32) -> bool {
        attempt > 1 && self.kept().wants_fresh(origin(url), attempt, self.now())
    }

    /// Takes the connection that was kept last, if it is still good.
    fn take(&self, url: &Url) -> Option<Connection> {
        let now = self.now();
        loop {
            let mut over = Vec::new();
            let taken = self.kept().take(
                origin(url),
                now,
                |kept| kept.worker == workers::number(),
                &mut over,
            );
            self.close(over);
            let mut connection = taken?;
            if connection.can_be_used_again() {
                return Some(connection);
            }
            connection.close();
        }
    }

    /// Keeps a connection whose answer was read to its end, if it can be used again.
    pub(crate) fn keep(&self, url: &Url, status: u16, mut connection: Connection) {
        if !is_kept_after(status) || !connection.can_be_used_again() {
            return connection.close();
        }
        let now = self.now();
        let unwanted = self.kept().keep(origin(url), connection, now);
        match unwanted {
            Some(unwanted) => unwanted.close(),
            None => self.lines.free(origin(url)),
        }
    }

    /// Closes all that are kept of an origin: scheme, host and port.
    pub(crate) fn forget(&self, origin: &str) {
        let forgotten = self.kept().forget(origin);
        self.close(forgotten);
    }

    /// Closes what was kept for long enough, and what the other side has closed.
    pub(crate) fn tidy(&self) {
        let now = self.now();
        let over = self.kept().tidy(now, Connection::can_be_used_again);
        self.close(over);
    }

    fn close(&self, over: impl IntoIterator<Item = Connection>) {
        over.into_iter().for_each(Connection::close);
    }

    fn now(&self) -> Mono {
        self.connector.clock().mono()
    }

    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn kept_now(&self) -> usize {
        self.kept().len()
    }

    fn kept(&self) -> MutexGuard<'_, KeptConnections<Connection>> {
        // Nothing done under this lock panics half-way, so what is kept is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scheme, host and port.
fn origin(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// A connection, used by one call at a time.
pub(crate) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    /// Gone once the connection is over: with it go the promises to whoever still waits.
    driver: Option<Driver>,
    allowance: Allowance,
    /// Whose runtime wakes whoever waits on it.
    worker: usize,
}

type Driver = Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>;

impl Connection {
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        self.allowance.grant(HEAD_BYTES);
        let mut answer = pin!(self.requests.try_send_request(request));
        let answered = poll_fn(|context| {
            drive(&mut self.driver, context);
            answer.as_mut().poll(context)
        })
        .await;
        if answered.is_ok() {
            self.allowance.grant(BODY_BYTES);
        }
        answered
    }

    /// Whether a byte of an answer has come.
    fn heard(&self) -> bool {
        self.allowance.heard()
    }

    /// The next part of an answer's body; `None` at its end, an error where it breaks off.
    pub(crate) async fn next(
        &mut self,
        body: &mut Incoming,
    ) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        poll_fn(|context| {
            drive(&mut self.driver, context);
            Pin::new(&mut *body).poll_frame(context)
        })
        .await
    }

    /// Ends it in order: on TLS the other side is told.
    pub(super) fn close(self) {
        let Self { requests, mut driver, allowance: _, worker: _ } = self;
        drop(requests);
        drive(&mut driver, &mut Context::from_waker(Waker::noop()));
    }

    /// Whether it takes another request. From then on nobody is woken by what comes on it.
    fn can_be_used_again(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.requests.is_ready()
    }
}

/// Lets a connection write and read what it can.
fn drive(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    // What it ends with is told to the request under way, if there is one.
    if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(context).is_ready()) {
        *driver = None;
    }
}
