//! Stopping when the system asks for it.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Turns true at the first SIGTERM or SIGINT. A second one ends the process at once: what
/// is durable is safe, and whoever asks twice means it.
///
/// # Errors
/// The system does not let us listen for signals.
pub fn stop_on_signals() -> io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!(event = "stopping", "stopping: finishing what is in flight");
        let _ = stop.send(true);
        next().await;
        tracing::warn!(event = "stopping_at_once", "asked to stop again: ending at once");
        std::process::exit(1);
    });
    Ok(stopped)
}
