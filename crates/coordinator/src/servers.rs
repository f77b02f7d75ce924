//! The servers of the HTTP face as tasks. None of them ends before it is told to; if one does, the
//! daemon must not go on as if it could be reached.

use std::future::pending;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// A bug of ours. What is durable is safe.
#[derive(Debug, Error)]
#[error("the server at {at} ended by itself; the next start recovers from the journal")]
pub struct ServerEnded {
    /// The setting of its address.
    at: &'static str,
    /// Why, if it did not just return.
    #[source]
    why: Option<JoinError>,
}

impl ServerEnded {
    fn new(at: &'static str, ended: Result<(), JoinError>) -> Self {
        Self { at, why: ended.err() }
    }
}

/// Where requests are answered.
pub(crate) const LISTEN: &str = "server.listen";

/// Where probes alone are.
pub(crate) const ADMIN_LISTEN: &str = "server.admin_listen";

/// All servers. They are gone when this is.
#[derive(Debug)]
pub(crate) struct Servers {
    /// How long answers under way are still waited for, once it is to close.
    close: watch::Sender<Option<Duration>>,
    requests: JoinSet<()>,
    probes: JoinSet<()>,
    beside: JoinSet<()>,
}

impl Servers {
    pub(crate) fn new() -> Self {
        let (close, _) = watch::channel(None);
        Self { close, requests: JoinSet::new(), probes: JoinSet::new(), beside: JoinSet::new() }
    }

    /// Ends when no more connections are to be taken, and says how long answers under way are waited
    /// for. Who would say so and is gone says it, too.
    pub(crate) fn closing(&self) -> impl Future<Output = Duration> + Send + use<> {
        let mut close = self.close.subscribe();
        async move {
            let told = close.wait_for(Option::is_some).await;
            told.map_or(Duration::ZERO, |left| left.unwrap_or_default())
        }
    }

    /// One that ends when `closing` does.
    pub(crate) fn answer_requests(&mut self, server: impl Future<Output = ()> + Send + 'static) {
        self.requests.spawn(server);
    }

    /// What goes on beside them for as long as they are there.
    pub(crate) fn keep(&mut self, beside: impl Future<Output = ()> + Send + 'static) {
        self.beside.spawn(beside);
    }

    /// One that answers until the process ends.
    pub(crate) fn answer_probes(&mut self, server: impl Future<Output = ()> + Send + 'static) {
        self.probes.spawn(server);
    }

    /// Ends when a server does, which none does by itself.
    pub(crate) async fn ended(&mut self) -> ServerEnded {
        tokio::select! {
            Some(ended) = self.requests.join_next() => ServerEnded::new(LISTEN, ended),
            Some(ended) = self.probes.join_next() => ServerEnded::new(ADMIN_LISTEN, ended),
            else => pending().await,
        }
    }

    /// Lets requests be answered for so long, and none begin.
    ///
    /// # Errors
    /// The server failed meanwhile.
    pub(crate) async fn close(&mut self, left: Duration) -> Result<(), ServerEnded> {
        let _ = self.close.send(Some(left));
        let mut closed = Ok(());
        while let Some(ended) = self.requests.join_next().await {
            closed = ended.map_err(|why| ServerEnded::new(LISTEN, Err(why)));
        }
        closed
    }
}
