//! The HTTP client for other nodes, by what counts of TLS at the moment.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::ClientConfig;
use thiserror::Error;

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
}

impl Peers {
    /// By these files.
    pub(crate) fn new(tls: Arc<Held<ClientConfig>>) -> Self {
        Self { tls, built: Mutex::default() }
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
