//! Deleting what nobody will ask for again.
//!
//! A row of an initiator's transaction that committed must be there when it is asked for: without it the answer would be
//! "never", and what has happened would be cancelled. A transaction may be open for 30 days before it is asked for,
//! and is asked for again for as long as nobody answers; each question dates the row anew, give or take a day.

use std::convert::Infallible;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr};

use super::record::Checked;
use crate::clock;
use crate::sql::{again, marks, statement, whole_millis};

/// How long a row is kept after it was written or last asked for: the longest that a transaction may be open before it
/// is asked for, and twice as long again for whoever is cut off.
pub const CHECKED_PURGE_AFTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Rows of one statement.
const BATCH: i64 = 500;
/// How often [`Checked::purge_forever`] looks.
const EVERY: Duration = Duration::from_secs(60 * 60);

impl Checked {
    /// Deletes what was written, and last asked for, longer ago than `after`, usually [`CHECKED_PURGE_AFTER`]; the
    /// number of rows. It must be longer than any transaction of this initiator is open, and than this service may be
    /// cut off from the coordinator. Several processes may do it at once. While the wall clock is in doubt nothing
    /// is deleted.
    ///
    /// # Errors
    /// The database's.
    pub async fn purge(&self, after: Duration) -> Result<u64, DbErr> {
        if clock::is_doubted() {
            return Ok(0);
        }
        let backend = self.db.get_database_backend();
        let after_ms = whole_millis(after);
        let mut deleted = 0;
        loop {
            let text = "SELECT gid FROM tercet_checked WHERE asked_at < {now} - ? \
                        ORDER BY asked_at LIMIT ?";
            let old = statement(backend, text, [after_ms.into(), BATCH.into()]);
            let old = self.db.query_all_raw(old).await?;
            let gids: Vec<String> =
                old.iter().map(|row| row.try_get("", "gid")).collect::<Result<_, _>>()?;
            if gids.is_empty() {
                return Ok(deleted);
            }
            let text = format!(
                "DELETE FROM tercet_checked WHERE gid IN ({}) AND asked_at < {{now}} - ?",
                marks(gids.len())
            );
            let _permit = self.queue.join_surely().await;
            let gone = again(|| {
                let values = gids.iter().map(|gid| gid.as_str().into()).chain([after_ms.into()]);
                self.db.execute_raw(statement(backend, &text, values))
            });
            deleted += gone.await?.rows_affected();
        }
    }

    /// Purges once an hour, for a task of its own: `tokio::spawn(checked.clone().purge_forever())`. What goes wrong
    /// is logged and tried again an hour later.
    pub async fn purge_forever(self) -> Infallible {
        let mut hourly = tokio::time::interval(EVERY);
        // The first is at once.
        hourly.tick().await;
        loop {
            hourly.tick().await;
            match self.purge(CHECKED_PURGE_AFTER).await {
                Ok(deleted) => tracing::debug!(deleted, "old rows of checks were purged"),
                Err(error) => tracing::warn!(%error, "old rows of checks could not be purged"),
            }
        }
    }
}
