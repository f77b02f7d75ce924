//! Listening, and stopping when told to.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The address is taken, or not ours.
    #[error("listen on {address}: {source}")]
    Listen {
        /// As given.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Listening ended by itself, or signals cannot be heard.
    #[error("serve: {0}")]
    Serve(#[from] std::io::Error),
}

/// An address that is ours, and as a URL what others call.
pub(crate) struct Listening {
    listener: TcpListener,
    /// Without a slash at the end.
    pub(crate) url: String,
}

/// Takes the address; port 0 takes a free one.
pub(crate) async fn listen(address: SocketAddr) -> Result<Listening, ServeError> {
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let url = format!("http://{}", listener.local_addr().map_err(listen)?);
    Ok(Listening { listener, url })
}

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn serve(listening: Listening, router: Router) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Scripts wait for this line, and learn the port from it.
    println!("listening on {}", listening.url);
    // Nothing needs to be finished first: a call that is cut off is rolled back, and made again.
    tokio::select! {
        served = axum::serve(listening.listener, router) => served?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
