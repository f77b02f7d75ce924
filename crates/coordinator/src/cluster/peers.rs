//! The HTTP client for other nodes, by what counts of TLS at the moment.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::ClientConfig;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::tls::Held;

/// How long a connection to another node may take: they are near each other.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// It could not be built.
#[derive(Debug, Error)]
#[error("the HTTP client for other nodes could not be built")]
pub struct NoClient(#[from] reqwest::Error);

/// It, and what it was built for. It keeps its connections for as long as that counts.
pub struct Peers {
    tls: Arc<Held<ClientConfig>>,
    built: Mutex<Option<(Arc<ClientConfig>, reqwest::Client)>>,
    places: Semaphore,
    /// Connections to each that are kept unused.
    kept: usize,
}

impl Peers {
    /// By these files; so many requests may be passed on at a time. A node that does not answer keeps
    /// those that wait for it, each with a socket: calls to participants have theirs all the same.
    pub(crate) fn new(tls: Arc<Held<ClientConfig>>, forwards: usize) -> Self {
        let forwards = forwards.max(1);
        let (places, kept) = (Semaphore::new(forwards), (forwards / 4).max(1));
        Self { tls, built: Mutex::default(), places, kept }
    }

    /// Waits for a place among those that are passed on. It is free again when this is dropped.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.places.acquire().await.ok()
    }

    /// The client that counts now.
    pub(super) fn http(&self) -> Result<reqwest::Client, NoClient> {
        let tls = self.tls.get();
        // It is whole before it is put there.
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, http)) = &*built
            && Arc::ptr_eq(of, &tls)
        {
            return Ok(http.clone());
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("tercet/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(self.kept)
            .tcp_nodelay(true)
            .tls_backend_preconfigured((*tls).clone())
            .build()?;
        *built = Some((tls, http.clone()));
        Ok(http)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("tls", &self.tls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::tls::{TlsFiles, client};

    /// Keeps P9.
    #[tokio::test]
    async fn no_more_are_passed_on_at_a_time_than_there_are_places() {
        let tls = Held::begin(TlsFiles::default(), client).expect("no files");
        let peers = Peers::new(Arc::new(tls), 2);
        let held = [peers.place().await, peers.place().await];
        assert!(peers.place().now_or_never().is_none(), "there are two");
        drop(held);
        assert!(peers.place().now_or_never().flatten().is_some());
    }
}
