//! What a relay measures, through the `metrics` facade: whoever installs a recorder sees it.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr};

use super::state::OutboxState;
use super::store::Outbox;
use crate::sql::statement;

/// From the moment a message was written until the coordinator had it, in seconds; only the time between writing and
/// commit is in it besides.
const DELAY: &str = "tercet_outbox_delay_seconds";
/// Messages that are committed and not handed over yet.
const PENDING: &str = "tercet_outbox_pending";
/// Messages by the state that they came into.
const MESSAGES: &str = "tercet_outbox_messages_total";

/// The most that is counted; beyond it there are more.
const COUNTED: i64 = 100_000;

/// Makes the names known, with what they are for.
pub(super) fn describe() {
    metrics::describe_histogram!(
        DELAY,
        metrics::Unit::Seconds,
        "From writing a message to the coordinator having it."
    );
    metrics::describe_gauge!(
        PENDING,
        "Messages that are committed and not handed over, up to 100000."
    );
    metrics::describe_counter!(MESSAGES, "Messages by the state they came into.");
}

/// A message came into this state.
pub(super) fn came_into(state: OutboxState) {
    metrics::counter!(MESSAGES, "state" => state.as_str()).increment(1);
}

/// The coordinator has a message that was written so long ago.
pub(super) fn handed_over(after: Duration) {
    metrics::histogram!(DELAY).record(after.as_secs_f64());
}

impl Outbox {
    /// Messages that are committed and not handed over yet; at most 100 000, beyond which there are more.
    ///
    /// # Errors
    /// The database's.
    pub async fn pending(&self) -> Result<u64, DbErr> {
        let text = "SELECT COUNT(*) AS pending FROM \
                    (SELECT gid FROM tercet_outbox WHERE state = ? LIMIT ?) AS waiting";
        let values = [OutboxState::Pending.as_str().into(), COUNTED.into()];
        let count = statement(self.db.get_database_backend(), text, values);
        let pending: i64 = match self.db.query_one_raw(count).await? {
            Some(row) => row.try_get("", "pending")?,
            None => 0,
        };
        Ok(u64::try_from(pending).unwrap_or(0))
    }

    pub(super) async fn count_pending(&self) -> Result<(), DbErr> {
        let pending = u32::try_from(self.pending().await?).unwrap_or(u32::MAX);
        metrics::gauge!(PENDING).set(f64::from(pending));
        Ok(())
    }
}
