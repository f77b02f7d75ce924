//! Reads again what stands in files beside the settings, when it changes and when it is asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::Access;
use super::jwt::keep_keys;

/// From one look to the next. What differs is taken when two looks have found it the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps up with what changes outside for as long as the process lives.
pub async fn keep_up(access: Arc<Access>) {
    let jwt = access.jwt.clone();
    let keys = async {
        if let Some(jwt) = jwt {
            keep_keys(jwt).await;
        }
    };
    tokio::join!(keep_files(access), keys);
}

/// Looks for changes of files; does nothing where there is none.
async fn keep_files(access: Arc<Access>) {
    if !access.has_files() {
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
        let access = Arc::clone(&access);
        // Files are read where a slow disk holds up nobody. It does not panic; if it did, the next
        // look would be made all the same.
        let _ = tokio::task::spawn_blocking(move || access.read_again(at_once)).await;
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
