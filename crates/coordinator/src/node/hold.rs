//! What is held since the database was restored, while a life of a node runs.

use std::time::Duration;

use tercet_engine::HoldChange;
use tercet_journal::Journal;

use crate::http::Readiness;
use crate::runtime::RuntimeHandle;

/// How often it is looked whether another node has released it.
const EVERY: Duration = Duration::from_secs(1);

/// What is held by what the journal says of it, if anything is.
pub(super) fn of(newest: Option<HoldChange>) -> Option<HoldChange> {
    newest.filter(|newest| newest.held_to.is_some())
}

/// Tells whoever watches the log that something is held.
pub(super) fn tell(held: &HoldChange) {
    tracing::warn!(
        event = "restored_held",
        since = %held.at,
        "the database was restored: what was undecided in the backup is neither called nor cancelled \
         until tercet restored release; all else goes on"
    );
}

/// Lets it go on once it is released, at whichever node.
pub(super) async fn follow(journal: Journal, engine: RuntimeHandle, readiness: Readiness) {
    loop {
        tokio::time::sleep(EVERY).await;
        // A database that does not answer is told of elsewhere, and says nothing new.
        if let Ok(newest) = journal.hold().await
            && of(newest).is_none()
        {
            engine.release().await;
            readiness.set_held(false);
            tracing::info!(
                event = "restored_released",
                "what was held since the database was restored goes on"
            );
            return;
        }
    }
}
