//! Stopping when the system asks for it, and going on when it only seems to.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::telemetry;

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Nobody has asked for it.
    NotAsked,
    /// It was asked for, and everything is served as before while balancers look elsewhere.
    Draining,
    /// New work is refused.
    Now,
}

/// Says that it is to stop at the first SIGTERM or SIGINT, and to stop now once `drain` has passed. A
/// second signal ends that wait; where there is none left, it ends the process at once: what is
/// durable is safe, and whoever asks again means it. SIGHUP ends nothing.
///
/// # Errors
/// The system does not let us listen for signals.
pub fn stop_on_signals(drain: Duration) -> io::Result<watch::Receiver<Stop>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(outlive_hang_ups(signal(SignalKind::hangup())?));
    let (stop, stopped) = watch::channel(Stop::NotAsked);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        if !drain.is_zero() {
            tracing::info!(
                event = "draining",
                ms = drain.as_millis(),
                "asked to stop: /readyz says so, and everything is served until load balancers look elsewhere"
            );
            let _ = stop.send(Stop::Draining);
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                () = next() => {}
            }
        }
        tracing::info!(event = "stopping", "stopping: finishing what is in flight");
        let _ = stop.send(Stop::Now);
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
        tracing::info!(
            event = "hung_up",
            "SIGHUP: going on; files that are read again when they change are read at once"
        );
    }
}
