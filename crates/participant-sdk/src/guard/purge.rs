//! Deleting rows that nobody will ask for again.
//!
//! What must never go is a row of a live transaction. Without it a Cancel would be taken for an empty one
//! and leave its reservation for ever, a Confirm would find nothing, and a Confirm without a
//! Try would be run a second time. Two rules keep them:
//!
//! * A branch that was tried and has both Confirm and Cancel hears every decision. Until it has, its row
//!   is kept, whatever its age. Such a row is a reservation; [`Purged::undecided`] counts the old ones.
//! * Any other row goes a month after the **last** call of its branch, not after the change. The coordinator calls
//!   every 30 s at the longest for as long as there is something to tell, so a month of
//!   silence means that there is nothing, or that this service was cut off for all of it.
//!
//! A Try that comes after its row is gone is turned away by its deadline
//! ([`LATE_TRY_MARGIN`](crate::LATE_TRY_MARGIN)).

use std::convert::Infallible;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::contention::contention;
use super::miscounted::commit;
use super::row;
use super::statements::Statements;
use super::store::{ROUND_PAUSE, ROUNDS, Store};
use crate::clock;

/// How long a row is kept after the last call of its branch: as long as the coordinator keeps a
/// gid taken after its transaction's end, by default.
pub const PURGE_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How old the note of the last call may become before another call writes it anew: repeats are
/// many and reading is cheaper than writing.
pub(super) const TOUCH_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// Rows deleted in one SQL transaction: few enough that nobody waits for it.
const BATCH: u64 = 500;

/// How often [`Store::purge_forever`] looks.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Rows deleted.
    pub deleted: u64,
    /// Old rows that were kept, since their branches were tried and have heard no decision. They are
    /// reservations that still hold something: more than none is worth a look at the coordinator.
    pub undecided: u64,
}

impl Store {
    /// Deletes the rows of branches that were last called longer ago than `after`, usually
    /// [`PURGE_AFTER`], in batches. Several processes may do it at once. It must be longer than
    /// the service may be cut off from the coordinator, and longer than the coordinator keeps a gid.
    /// While the wall clock is in doubt nothing is deleted: when it has jumped since the process started, until
    /// it has come back or has kept in step for a day.
    ///
    /// # Errors
    /// The database's. What was deleted before stays deleted.
    pub async fn purge(&self, after: Duration) -> Result<Purged, DbErr> {
        if clock::is_doubted() {
            return Ok(Purged::default());
        }
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        // The note of the last call may be this much older than the call.
        let before_ms = clock::now().0.saturating_sub(after_ms).saturating_sub(TOUCH_AFTER_MS);
        let mut deleted = 0;
        loop {
            let keys = self.expired(before_ms).await?;
            if keys.is_empty() {
                break;
            }
            let mut round = 1;
            deleted += loop {
                match self.delete(&keys, before_ms).await {
                    Err(error) if contention(&error).is_some() && round < ROUNDS => {
                        tokio::time::sleep(ROUND_PAUSE.pause(round, clock::entropy(), None)).await;
                        round += 1;
                    }
                    done => break done?,
                }
            };
        }
        Ok(Purged { deleted, undecided: self.undecided(before_ms).await? })
    }

    /// Purges once an hour, for a task of its own: `tokio::spawn(store.clone().purge_forever())`. An hour
    /// after the start for the first time: a machine that came up with a wrong clock has been set right by then.
    /// What goes wrong is logged and tried again an hour later.
    pub async fn purge_forever(self) -> Infallible {
        let mut hourly = tokio::time::interval(EVERY);
        // The first is at once.
        hourly.tick().await;
        hourly.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            hourly.tick().await;
            match self.purge(PURGE_AFTER).await {
                Ok(Purged { deleted, undecided: 0 }) => {
                    tracing::debug!(deleted, "old rows of the guard were purged");
                }
                Ok(Purged { deleted, undecided }) => {
                    tracing::warn!(
                        deleted,
                        undecided,
                        "reservations have waited for a decision for a month"
                    );
                }
                Err(error) => tracing::warn!(%error, "the guard's old rows could not be purged"),
            }
        }
    }

    /// Keys of rows that may go, oldest first. Read without a lock: each is asked again when it goes.
    async fn expired(&self, before_ms: i64) -> Result<Vec<(String, String)>, DbErr> {
        let backend = self.db.get_database_backend();
        let sql = Statements::of(backend).expired;
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let expired =
            Statement::from_sql_and_values(backend, sql, [before_ms.into(), limit.into()]);
        let found = self.db.query_all_raw(expired).await?;
        found
            .iter()
            .map(|row| Ok((row.try_get("", "gid")?, row.try_get("", "branch_id")?)))
            .collect()
    }

    /// Deletes them by key, one by one, so that no range of the index is locked.
    async fn delete(&self, keys: &[(String, String)], before_ms: i64) -> Result<u64, DbErr> {
        let _permit = self.queue.join_surely().await;
        let db = self.begin_to_write().await?;
        let mut deleted = 0;
        for (gid, branch) in keys {
            let values = [gid.as_str().into(), branch.as_str().into(), before_ms.into()];
            if row::execute(&db, |sql| sql.delete, values).await? == 0 {
                continue;
            }
            deleted += 1;
            let key = [gid.as_str().into(), branch.as_str().into()];
            row::execute(&db, |sql| sql.delete_result, key).await?;
        }
        commit(&self.db, db).await?;
        Ok(deleted)
    }

    async fn undecided(&self, before_ms: i64) -> Result<u64, DbErr> {
        let backend = self.db.get_database_backend();
        let sql = Statements::of(backend).undecided;
        let count = Statement::from_sql_and_values(backend, sql, [before_ms.into()]);
        let kept: i64 = match self.db.query_one_raw(count).await? {
            Some(row) => row.try_get("", "kept")?,
            None => 0,
        };
        Ok(u64::try_from(kept).unwrap_or(0))
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_row_that_was_called_since_it_was_looked_up_is_kept() {
        let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
        // Each connection has a memory of its own.
        options.max_connections(1);
        let db = sea_orm::Database::connect(options).await.expect("a database");
        let store = Store::new(db.clone());
        store.migrate().await.expect("the table");
        for gid in ["silent", "called"] {
            let row = format!(
                "INSERT INTO tercet_guard (gid, branch_id, instance, legs, state, updated_at) \
                 VALUES ('{gid}', 'b', 'i', 'try,confirm,cancel', 'confirmed', 5)"
            );
            db.execute_unprepared(&row).await.expect("a row");
        }
        let keys = store.expired(10).await.expect("rows");
        assert_eq!(keys.len(), 2);
        let call = "UPDATE tercet_guard SET updated_at = 10 WHERE gid = 'called'";
        db.execute_unprepared(call).await.expect("a call");
        assert_eq!(store.delete(&keys, 10).await.expect("a purge"), 1);
        let left = "SELECT COUNT(*) FROM tercet_guard WHERE gid = 'called'";
        let left = db.query_one_raw(Statement::from_string(db.get_database_backend(), left)).await;
        let left = left.expect("an answer").expect("a row");
        assert_eq!(left.try_get_by_index::<i64>(0).expect("a count"), 1);
    }
}
