//! TLS of the own port, of calls, and of what nodes say to each other.
//!
//! ```text
//!  settings ─▶ TlsFiles ─ read ─▶ Loaded: roots, identity ─▶ ServerConfig │ ClientConfig
//!                 ▲                                                  │
//!  reading_again ─┘  (every second, SIGHUP)                          ▼
//!                                                          Held: the one that counts now
//! ```
//!
//! Connections take what counts when they begin, and keep it: nothing that is read again ends one.

mod client;
mod ends;
mod error;
mod files;
mod held;
mod names;
mod server;
mod validity;

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use tercet_wire::Wall;

pub(crate) use self::client::client;
pub use self::error::TlsError;
pub(crate) use self::files::{Loaded, TlsFiles};
pub(crate) use self::held::Held;
pub(crate) use self::names::names;
use crate::config::Settings;
use crate::reading_again::ReadAgain;

/// All of it, as it counts at the moment.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Of the port; absent: it speaks plain HTTP.
    pub(crate) server: Option<Arc<Held<ServerConfig>>>,
    /// Of calls, and of whatever else is asked outside.
    pub(crate) calls: Arc<Held<ClientConfig>>,
    /// Of what is asked of other nodes.
    pub(crate) nodes: Arc<Held<ClientConfig>>,
}

impl Tls {
    /// As these settings say.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn begin(settings: &Settings) -> Result<Self, TlsError> {
        let server = TlsFiles::of_server(&settings.server.tls);
        let server = server.map(|files| Held::begin(files, server::server)).transpose()?;
        let calls = Held::begin(TlsFiles::of_calls(&settings.dispatcher.tls), client)?;
        let nodes = Held::begin(TlsFiles::of_nodes(&settings.cluster), client)?;
        Ok(Self { server: server.map(Arc::new), calls: Arc::new(calls), nodes: Arc::new(nodes) })
    }

    /// When the certificates that are shown to others end: of the port, of calls, of what nodes say to
    /// each other. None where none is shown.
    pub(crate) fn ends(&self) -> [(&'static str, Option<Wall>); 3] {
        [
            ("server", self.server.as_ref().and_then(|held| held.ends())),
            ("calls", self.calls.ends()),
            ("nodes", self.nodes.ends()),
        ]
    }

    /// What is read again when it changes.
    pub(crate) fn files(&self) -> Vec<Arc<dyn ReadAgain>> {
        let server = self.server.clone().map(|server| server as Arc<dyn ReadAgain>);
        let others = [Arc::clone(&self.calls), Arc::clone(&self.nodes)];
        server.into_iter().chain(others.map(|held| held as Arc<dyn ReadAgain>)).collect()
    }
}
