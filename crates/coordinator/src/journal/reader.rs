//! Answers loads, many with one read. It does not wait for the writer: a gid that is asked
//! about is not in memory, so every record of it is durable already.

use std::collections::BTreeSet;
use std::sync::Arc;

use tercet_protocol::{Gid, Load};
use tokio::sync::mpsc;

use super::JournalEvent;
use super::store::Store;

/// Most gids in one read.
const MOST_AT_ONCE: usize = 256;

/// Answers loads.
pub(super) struct Reader {
    store: Arc<dyn Store>,
    asked: mpsc::UnboundedReceiver<Vec<Gid>>,
    events: mpsc::UnboundedSender<JournalEvent>,
}

impl Reader {
    pub(super) fn new(
        store: Arc<dyn Store>,
        asked: mpsc::UnboundedReceiver<Vec<Gid>>,
        events: mpsc::UnboundedSender<JournalEvent>,
    ) -> Self {
        Self { store, asked, events }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self) {
        while let Some(gids) = self.asked.recv().await {
            let mut gids: BTreeSet<Gid> = gids.into_iter().collect();
            while gids.len() < MOST_AT_ONCE
                && let Ok(more) = self.asked.try_recv()
            {
                gids.extend(more);
            }
            let gids: Vec<Gid> = gids.into_iter().collect();
            for some in gids.chunks(MOST_AT_ONCE) {
                self.answer(some).await;
            }
        }
    }

    async fn answer(&self, gids: &[Gid]) {
        let loaded = match self.store.load(gids).await {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot load");
                gids.iter().map(|gid| (gid.clone(), Load::Failed)).collect()
            }
        };
        for (gid, load) in loaded {
            // A runtime that has gone needs no answer.
            let _ = self.events.send(JournalEvent::Loaded(gid, load));
        }
    }
}
