//! When messages came to whom they are for, as that one tells when it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Initiator;
use crate::clock;
use crate::in_memory::DELIVERIES;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Asks what has come, and tells whoever waits for it.
#[derive(Debug)]
pub(super) struct Deliveries {
    waiting: Arc<Mutex<Waiting>>,
    asking: JoinHandle<()>,
}

type Waiting = BTreeMap<String, oneshot::Sender<Instant>>;

impl Deliveries {
    /// Of the services at this URL.
    pub(super) fn at(base: &str, by: Initiator) -> Self {
        let waiting: Arc<Mutex<Waiting>> = Arc::default();
        let asking = tokio::spawn(ask(base.to_owned(), by, Arc::clone(&waiting)));
        Self { waiting, asking }
    }

    /// When the message of this gid comes, which has not been sent yet.
    pub(super) fn of(&self, gid: &str) -> oneshot::Receiver<Instant> {
        let (tell, told) = oneshot::channel();
        lock(&self.waiting).insert(gid.to_owned(), tell);
        told
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    // The map is whole after every statement.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask(base: String, by: Initiator, waiting: Arc<Mutex<Waiting>>) {
    let mut seen = 0;
    loop {
        let url = format!("{base}{DELIVERIES}?from={seen}");
        // Each with how long ago it came, in milliseconds. Who cannot say now is asked again.
        let told: Vec<(String, u64)> = by.read("what came", &url).await.unwrap_or_default();
        seen += told.len();
        let now = clock::now();
        for (gid, ago_ms) in told {
            if let Some(tell) = lock(&waiting).remove(&gid) {
                let at = now.checked_sub(Duration::from_millis(ago_ms)).unwrap_or(now);
                // Who has given up does not listen.
                let _ = tell.send(at);
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
