//! Reads again what stands in files beside the settings, when it changes and when it is asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// From one look to the next. What differs is taken when two looks have found it the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What can be read again.
pub(crate) trait ReadAgain: Send + Sync {
    /// Whether there is anything to be read.
    fn has_files(&self) -> bool;

    /// Looks whether the files say something else by now. `at_once`: they are known to be whole.
    fn read_again(&self, at_once: bool);
}

/// Looks for changes for as long as the process lives; does nothing where there is nothing to be read.
pub(crate) async fn keep_reading(mut all: Vec<Arc<dyn ReadAgain>>) {
    all.retain(|one| one.has_files());
    if all.is_empty() {
        return;
    }
    // Where the system gives no signals, time alone tells.
    let mut hang_ups = signal(SignalKind::hangup()).ok();
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let at_once = tokio::select! {
            _ = look.tick() => false,
            () = hung_up(hang_ups.as_mut()) => true,
        };
        let all = all.clone();
        // Files are read where a slow disk holds up nobody. It does not panic; if it did, the next
        // look would be made all the same.
        let looking = move || all.iter().for_each(|one| one.read_again(at_once));
        let _ = tokio::task::spawn_blocking(looking).await;
    }
}

async fn hung_up(hang_ups: Option<&mut Signal>) {
    let came = match hang_ups {
        Some(hang_ups) => hang_ups.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}
