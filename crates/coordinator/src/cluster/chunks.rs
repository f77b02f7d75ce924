//! What the take-overs hear of their chunks: that one is durable, and how much of what was taken
//! over is not read yet.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tercet_wire::Incarnation;
use tokio::sync::{oneshot, watch};

/// Between the engine's loop, which hears of chunks from the journal, and those that asked for
/// them. Of each dead life one chunk is under way at a time.
#[derive(Debug)]
pub struct Chunks {
    waiting: Mutex<BTreeMap<Incarnation, oneshot::Sender<usize>>>,
    arriving: watch::Sender<usize>,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { waiting: Mutex::default(), arriving: watch::Sender::new(0) }
    }
}

impl Chunks {
    /// A chunk of this life's is about to be asked for. What comes back says how many of its
    /// transactions changed hands, once that is durable; nothing if this life is over before.
    pub(super) fn expect(&self, dead: Incarnation) -> oneshot::Receiver<usize> {
        let (tell, told) = oneshot::channel();
        self.waiting().insert(dead, tell);
        told
    }

    /// Ends when so few of what was taken over are still to be read.
    pub(super) async fn until_few_arrive(&self, few: usize) {
        let mut arriving = self.arriving.subscribe();
        // The sender is this.
        let _ = arriving.wait_for(|arriving| *arriving <= few).await;
    }

    /// The engine's loop has gone round: so many are to be read now.
    pub fn set_arriving(&self, count: usize) {
        self.arriving.send_if_modified(|arriving| std::mem::replace(arriving, count) != count);
    }

    /// A chunk is durable, and the engine knows. Told after `set_arriving`, so that whoever goes
    /// on by it counts with its transactions.
    pub fn are_durable(&self, dead: Incarnation, count: usize) {
        if let Some(tell) = self.waiting().remove(&dead) {
            // A take-over that was given up needs no telling.
            let _ = tell.send(count);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Incarnation, oneshot::Sender<usize>>> {
        // Nothing in there panics half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
