//! Stopping when the system asks for it, and going on when it only seems to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::telemetry;

/// Turns true at the first SIGTERM or SIGINT. A second one ends the process at once: what
/// is durable is safe, and whoever asks twice means it. SIGHUP ends nothing.
///
/// # Errors
/// The system does not let us listen for signals.
pub fn stop_on_signals() -> io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(outlive_hang_ups(signal(SignalKind::hangup())?));
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
        telemetry::finish();
        std::process::exit(1);
    });
    Ok(stopped)
}

/// A terminal that closes, or a rotation of logs, is no reason to stop.
async fn outlive_hang_ups(mut hang_ups: Signal) {
    while hang_ups.recv().await.is_some() {
        tracing::info!(event = "hung_up", "SIGHUP: going on; there is nothing to be read again");
    }
}
