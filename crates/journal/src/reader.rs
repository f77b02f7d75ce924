//! Answers loads, many with one read, and sweeps. It does not wait for the writer: a gid that
//! is asked about is not in memory, so every record of it is durable already.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tercet_clock::Clock;
use tercet_engine::Load;
use tercet_wire::{Backoff, Gid};
use tokio::sync::mpsc;

use super::JournalEvent;
use super::store::Store;

/// Most gids in one read.
const MOST_AT_ONCE: usize = 256;
/// Most gids in the answer to a sweep.
const MOST_SWEPT: u32 = 100;

/// What reaches the reader.
#[derive(Debug)]
pub(super) enum Asked {
    /// What is known of these?
    Load(Vec<Gid>),
    /// Which decided and unfinished transactions come after this one?
    PageRequest(Option<Gid>),
}

/// Answers what is asked of the journal from the engine's side.
pub(super) struct Reader {
    store: Arc<dyn Store>,
    asked: mpsc::UnboundedReceiver<Asked>,
    events: mpsc::UnboundedSender<JournalEvent>,
    clock: Arc<dyn Clock>,
    /// The pauses between readings of a sweep that failed.
    pauses: Backoff,
    loads: BTreeSet<Gid>,
    /// Sweeps not answered yet, in the order they were asked for.
    page_requests: VecDeque<Option<Gid>>,
    /// How often the first of them has failed.
    failures: u32,
}

impl Reader {
    pub(super) fn new(
        store: Arc<dyn Store>,
        asked: mpsc::UnboundedReceiver<Asked>,
        events: mpsc::UnboundedSender<JournalEvent>,
        clock: Arc<dyn Clock>,
        pauses: Backoff,
    ) -> Self {
        Self {
            store,
            asked,
            events,
            clock,
            pauses,
            loads: BTreeSet::new(),
            page_requests: VecDeque::new(),
            failures: 0,
        }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self) {
        loop {
            let pause = self.pause();
            tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(asked) => self.take(asked),
                    None => return,
                },
                // A sweep that could not be read is read again: whoever asked waits for it.
                () = tokio::time::sleep(pause), if !self.page_requests.is_empty() => {}
            }
            while self.loads.len() < MOST_AT_ONCE
                && let Ok(more) = self.asked.try_recv()
            {
                self.take(more);
            }
            self.answer_loads().await;
            self.answer_sweeps().await;
        }
    }

    fn take(&mut self, asked: Asked) {
        match asked {
            Asked::Load(gids) => self.loads.extend(gids),
            Asked::PageRequest(after) => self.page_requests.push_back(after),
        }
    }

    fn pause(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => self.pauses.pause(failures, self.clock.now().entropy, None),
        }
    }

    async fn answer_loads(&mut self) {
        let gids: Vec<Gid> = std::mem::take(&mut self.loads).into_iter().collect();
        let mut rest = &gids[..];
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(MOST_AT_ONCE)];
            let loaded = match self.store.load(some).await {
                Ok(loaded) => loaded,
                Err(error) => {
                    tracing::warn!(
                        event = "load_failed",
                        error = &error as &dyn std::error::Error,
                        "cannot load"
                    );
                    some.iter().map(|gid| (gid.clone(), Load::Failed)).collect()
                }
            };
            // Large ones come fewer at a time. None would be a fault of the store's.
            rest = &rest[loaded.len().clamp(1, some.len())..];
            for (gid, load) in loaded {
                self.tell(JournalEvent::Loaded(gid, load));
            }
        }
    }

    async fn answer_sweeps(&mut self) {
        while let Some(after) = self.page_requests.front() {
            match self.store.sweep(after.as_ref(), MOST_SWEPT).await {
                Ok(page_of_gids) => {
                    self.failures = 0;
                    self.page_requests.pop_front();
                    self.tell(JournalEvent::PageOfGids(page_of_gids));
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(
                        event = "page_in_failed",
                        error,
                        "cannot read which transactions wait"
                    );
                    self.failures = self.failures.saturating_add(1);
                    return;
                }
            }
        }
    }

    fn tell(&self, event: JournalEvent) {
        // A runtime that has gone needs no answer.
        let _ = self.events.send(event);
    }
}
