//! Placeholder of the API's branch: an engine that accepts nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::api::Readiness;
use crate::clock::Clock;
use crate::config::Settings;
use crate::journal::{Journal, JournalError};
use crate::runtime::RuntimeHandle;

/// Why it could not start.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The journal could not be opened.
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
}

/// Journal, dispatcher and engine, running.
#[derive(Debug)]
pub struct Node {
    /// Asks the engine.
    pub engine: RuntimeHandle,
    /// Reads lists and histories.
    pub journal: Journal,
}

impl Node {
    /// Opens the journal, recovers, and runs until `stop` turns true.
    ///
    /// # Errors
    /// The journal could not be opened.
    pub async fn start(
        _settings: &Settings,
        _listens_on: SocketAddr,
        _clock: &Arc<dyn Clock>,
        readiness: &Readiness,
        _stop: watch::Receiver<bool>,
    ) -> Result<Self, NodeError> {
        let (begins, _) = mpsc::channel(1);
        let (requests, _) = mpsc::channel(1);
        let (barriers, _) = mpsc::channel(1);
        readiness.set_writable(true);
        let engine = RuntimeHandle::new(begins, requests, barriers);
        Ok(Self { engine, journal: Journal::default() })
    }

    /// Waits until what was in flight has ended and the journal is closed.
    pub async fn stopped(self) {}
}
