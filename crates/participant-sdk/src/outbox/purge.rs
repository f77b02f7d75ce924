//! Deleting what has ended long ago. A message that is pending, sent or dead is never deleted: it is not done.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::state::OutboxState;
use super::store::Outbox;
use crate::sql::{again, marks, statement, whole_millis};

/// How long a message is kept after its end, for whoever looks, and against a repeat of the deed.
pub const OUTBOX_PURGE_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Rows of one statement.
const BATCH: i64 = 500;

impl Outbox {
    /// Deletes what was confirmed or cancelled longer ago than `after`, usually [`OUTBOX_PURGE_AFTER`], by the
    /// database's clock; the number of rows. Relays do it once an hour.
    ///
    /// # Errors
    /// The database's.
    pub async fn purge(&self, after: Duration) -> Result<u64, DbErr> {
        let backend = self.db.get_database_backend();
        let after_ms = whole_millis(after);
        let mut deleted = 0;
        for state in [OutboxState::Confirmed, OutboxState::Cancelled] {
            loop {
                let text = "SELECT gid FROM tercet_outbox WHERE state = ? AND due_at < {now} - ? \
                            ORDER BY due_at LIMIT ?";
                let values = [state.as_str().into(), after_ms.into(), BATCH.into()];
                let old = self.db.query_all_raw(statement(backend, text, values)).await?;
                let gids: Vec<String> =
                    old.iter().map(|row| row.try_get("", "gid")).collect::<Result<_, _>>()?;
                if gids.is_empty() {
                    break;
                }
                let text = format!(
                    "DELETE FROM tercet_outbox WHERE gid IN ({}) AND state = ?",
                    marks(gids.len())
                );
                let _permit = self.queue.join_surely().await;
                let gone = again(|| {
                    let values = gids.iter().map(|gid| Value::from(gid.as_str()));
                    let values = values.chain([state.as_str().into()]);
                    self.db.execute_raw(statement(backend, &text, values))
                });
                deleted += gone.await?.rows_affected();
            }
        }
        Ok(deleted)
    }
}
