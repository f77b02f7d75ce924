//! The servers of the HTTP face as tasks. None of them ends before it is told to; if one does, the
//! daemon must not go on as if it could be reached.

use std::future::pending;

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
    close: watch::Sender<bool>,
    requests: JoinSet<()>,
    probes: JoinSet<()>,
}

impl Servers {
    pub(crate) fn new() -> Self {
        let (close, _) = watch::channel(false);
        Self { close, requests: JoinSet::new(), probes: JoinSet::new() }
    }

    /// Ends when no more connections are to be taken. Who would say so and is gone says it, too.
    pub(crate) fn closing(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut close = self.close.subscribe();
        async move {
            let _ = close.wait_for(|close| *close).await;
        }
    }

    /// One that ends when `closing` does.
    pub(crate) fn answer_requests(&mut self, server: impl Future<Output = ()> + Send + 'static) {
        self.requests.spawn(server);
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

    /// Lets requests be answered for their grace, and none begin.
    ///
    /// # Errors
    /// The server failed meanwhile.
    pub(crate) async fn close(&mut self) -> Result<(), ServerEnded> {
        let _ = self.close.send(true);
        let mut closed = Ok(());
        while let Some(ended) = self.requests.join_next().await {
            closed = ended.map_err(|why| ServerEnded::new(LISTEN, Err(why)));
        }
        closed
    }
}
