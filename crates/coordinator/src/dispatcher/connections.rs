//! Connections to participants, kept open from one call to the next.
//!
//! A connection is driven by the task of the call that uses it, and by nobody in between.
//! hyper-util's pooled client gives each a task of its own; to hand every request, answer and
//! body from one task to the other costs more than writing and parsing them.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::{TrySendError, http1};
use tercet_wire::Mono;
use thiserror::Error;
use tower::{BoxError, ServiceExt as _};
use url::{Position, Url};

use super::connect::{Connector, Stream};

/// Why a call got no status line.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// There is no connection.
    #[error("no connection")]
    Connect(#[source] BoxError),
    /// The connection broke, or what came is not HTTP.
    #[error("no answer")]
    Answer(#[from] hyper::Error),
    /// The URL is none that can be connected to.
    #[error("the URL cannot be called")]
    Url(#[from] http::uri::InvalidUri),
}

/// Makes connections and keeps those that can be used again.
pub(super) struct Connections {
    connector: Connector,
    kept_for: Duration,
    /// By scheme, host and port; of each the one kept last is at the end.
    idle: Mutex<HashMap<String, VecDeque<Idle>>>,
}

struct Idle {
    connection: Connection,
    since: Mono,
}

impl Connections {
    /// Keeps connections for so long.
    pub(super) fn new(connector: Connector, kept_for: Duration) -> Self {
        Self { connector, kept_for, idle: Mutex::default() }
    }

    /// Sends a request and waits for its status line, on a new connection if it is to be
    /// `fresh`. What was not sent, since the connection turned out to be closed, is sent again
    /// on another; nothing else is.
    pub(super) async fn send(
        &self,
        url: &Url,
        mut request: Request<Full<Bytes>>,
        fresh: bool,
        now: Mono,
    ) -> Result<(Connection, Response<Incoming>), CallError> {
        if !fresh {
            while let Some(mut connection) = self.take(url, now) {
                match connection.send(request).await {
                    Ok(response) => return Ok((connection, response)),
                    Err(mut failed) => match failed.take_message() {
                        Some(unsent) => request = unsent,
                        None => return Err(failed.into_error().into()),
                    },
                }
            }
        }
        // In a box: it takes far more room than the rest of a call, and is seldom needed.
        let connected = Box::pin(self.connect(url)).await;
        // Meanwhile another call may have done with its connection.
        let instead = |error| if fresh { None } else { self.take(url, now) }.ok_or(error);
        let mut connection = connected.or_else(instead)?;
        match connection.send(request).await {
            Ok(response) => Ok((connection, response)),
            Err(failed) => Err(failed.into_error().into()),
        }
    }

    pub(super) async fn connect(&self, url: &Url) -> Result<Connection, CallError> {
        let target: Uri = url[..Position::AfterPath].parse()?;
        let stream = self.connector.clone().oneshot(target).await.map_err(CallError::Connect)?;
        let (requests, driver) = http1::handshake(stream).await?;
        Ok(Connection { requests, driver: Some(Box::new(driver)) })
    }

    /// Takes the connection that was kept last, if it is still good.
    fn take(&self, url: &Url, now: Mono) -> Option<Connection> {
        loop {
            let Idle { mut connection, since } =
                self.idle().get_mut(origin(url)).and_then(VecDeque::pop_back)?;
            if now.since(since) < self.kept_for && connection.can_be_used_again() {
                return Some(connection);
            }
            connection.close();
        }
    }

    /// Keeps a connection whose answer was read to its end, if it can be used again.
    pub(super) fn keep(&self, url: &Url, mut connection: Connection, now: Mono) {
        if self.kept_for.is_zero() || !connection.can_be_used_again() {
            return connection.close();
        }
        let idle = Idle { connection, since: now };
        let mut all = self.idle();
        match all.get_mut(origin(url)) {
            Some(same) => same.push_back(idle),
            None => drop(all.insert(origin(url).to_owned(), VecDeque::from([idle]))),
        }
    }

    /// Closes what was kept for long enough, and what the other side has closed.
    pub(super) fn tidy(&self, now: Mono) {
        let mut closed = Vec::new();
        self.idle().retain(|_, same| {
            let good = |idle: &mut Idle| {
                now.since(idle.since) < self.kept_for && idle.connection.can_be_used_again()
            };
            for mut idle in std::mem::take(same) {
                if good(&mut idle) {
                    same.push_back(idle);
                } else {
                    closed.push(idle);
                }
            }
            !same.is_empty()
        });
        for idle in closed {
            idle.connection.close();
        }
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.idle().values().map(VecDeque::len).sum()
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scheme, host and port.
fn origin(url: &Url) -> &str {
    &url[..Position::BeforePath]
}

/// A connection, used by one call at a time.
pub(super) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    /// Gone once the connection is over: with it go the promises to whoever still waits.
    driver: Option<Box<http1::Connection<Stream, Full<Bytes>>>>,
}

impl Connection {
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let mut answer = pin!(self.requests.try_send_request(request));
        poll_fn(|context| {
            drive(&mut self.driver, context);
            answer.as_mut().poll(context)
        })
        .await
    }

    /// The next part of an answer's body; `None` at its end, or where it breaks off.
    pub(super) async fn next(&mut self, body: &mut Incoming) -> Option<Frame<Bytes>> {
        poll_fn(|context| {
            drive(&mut self.driver, context);
            Pin::new(&mut *body).poll_frame(context)
        })
        .await?
        .ok()
    }

    /// Ends it in order: on TLS the other side is told.
    pub(super) fn close(self) {
        let Self { requests, mut driver } = self;
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
fn drive(
    driver: &mut Option<Box<http1::Connection<Stream, Full<Bytes>>>>,
    context: &mut Context<'_>,
) {
    // What it ends with is told to the request under way, if there is one.
    if driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(context).is_ready()) {
        *driver = None;
    }
}
