//! What relays do with rows: take some for the time of a lease, and say what became of each.
//!
//! A claim is three statements in one SQL transaction, right wherever one row is written atomically: the rows that are
//! due, passing over those that others hold; an update that asks again whether they are; and a read of those that
//! bear this claim's number. Nobody's SQL transaction is open while the coordinator is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Value};

use super::hand_over::{Attempts, Next};
use super::state::OutboxState;
use super::store::Outbox;
use crate::clock;
use crate::guard::miscounted::commit;
use crate::sql::{again, begin, marks, statement, whole, whole_millis};

/// A row that is ours until its lease runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    /// As stored: a gid that cannot be sent is the coordinator's to refuse.
    pub(super) gid: String,
    pub(super) request: String,
    pub(super) traceparent: Option<String>,
    /// This attempt counted.
    pub(super) attempts: u32,
    /// How long ago it was written.
    pub(super) waited: Duration,
}

/// The rows of one claim.
#[derive(Debug, Default)]
pub(super) struct Claim {
    /// By this number they are ours.
    owner: i64,
    pub(super) rows: Vec<Claimed>,
}

/// What became of each row of a claim. Those that are alike are written together.
pub(super) type Outcomes = BTreeMap<Next, Vec<String>>;

impl Outbox {
    /// Takes at most `limit` rows of this state that are due; nobody else sees to them until the lease runs out.
    pub(super) async fn claim(
        &self,
        state: OutboxState,
        limit: u16,
        lease: Duration,
    ) -> Result<Claim, DbErr> {
        // Looked at without the right to write, which on SQLite would keep others from writing for nothing.
        if !self.is_any_due(state).await? {
            return Ok(Claim::default());
        }
        let _permit = self.queue.join_surely().await;
        match again(|| self.claim_once(state, limit, lease)).await {
            Err(error) if self.does_not_know_skip_locked(&error) => {
                self.skips_locked.store(false, Ordering::Relaxed);
                again(|| self.claim_once(state, limit, lease)).await
            }
            claimed => claimed,
        }
    }

    async fn is_any_due(&self, state: OutboxState) -> Result<bool, DbErr> {
        let text = "SELECT gid FROM tercet_outbox WHERE state = ? AND due_at <= {now} LIMIT 1";
        let values = [state.as_str().into()];
        let any = statement(self.db.get_database_backend(), text, values);
        Ok(self.db.query_one_raw(any).await?.is_some())
    }

    /// MySQL before 8, and MariaDB before 10.6.
    fn does_not_know_skip_locked(&self, error: &DbErr) -> bool {
        self.db.get_database_backend() == DbBackend::MySql
            && self.skips_locked.load(Ordering::Relaxed)
            && error.to_string().contains("1064")
    }

    async fn claim_once(
        &self,
        state: OutboxState,
        limit: u16,
        lease: Duration,
    ) -> Result<Claim, DbErr> {
        let outbox = self.clone();
        whole(async move { outbox.claim_in_one(state, limit, lease).await }).await
    }

    /// One SQL transaction. Every early return drops it, which rolls it back.
    async fn claim_in_one(
        &self,
        state: OutboxState,
        limit: u16,
        lease: Duration,
    ) -> Result<Claim, DbErr> {
        // Positive, so that no row has it that was never claimed.
        let owner = i64::try_from(clock::entropy() >> 1).unwrap_or(i64::MAX).max(1);
        let tx = begin(&self.db).await?;
        let gids = self.due(&tx, state, limit).await?;
        if gids.is_empty() {
            return tx.rollback().await.map(|()| Claim::default());
        }
        let backend = tx.get_database_backend();
        let text = format!(
            "UPDATE tercet_outbox SET owner = ?, due_at = {{now}} + ?, attempts = attempts + 1 \
             WHERE gid IN ({}) AND state = ? AND due_at <= {{now}}",
            marks(gids.len())
        );
        let mut values: Vec<Value> = vec![owner.into(), whole_millis(lease).into()];
        values.extend(gids.iter().map(|gid| Value::from(gid.as_str())));
        values.push(state.as_str().into());
        tx.execute_raw(statement(backend, &text, values)).await?;
        let text = format!(
            "SELECT gid, request, traceparent, attempts, {{now}} - written_at AS waited \
             FROM tercet_outbox WHERE gid IN ({}) AND owner = ?",
            marks(gids.len())
        );
        let values = gids.iter().map(|gid| Value::from(gid.as_str())).chain([owner.into()]);
        let mine = tx.query_all_raw(statement(backend, &text, values)).await?;
        let rows = mine.iter().map(read).collect::<Result<_, _>>()?;
        commit(&self.db, tx).await?;
        Ok(Claim { owner, rows })
    }

    /// Keys of rows that are due, the longest waiting first.
    async fn due(
        &self,
        tx: &DatabaseTransaction,
        state: OutboxState,
        limit: u16,
    ) -> Result<Vec<String>, DbErr> {
        let skip = self.skips_locked.load(Ordering::Relaxed);
        let text = format!(
            "SELECT gid FROM tercet_outbox WHERE state = ? AND due_at <= {{now}} \
             ORDER BY due_at LIMIT ?{}",
            if skip { " FOR UPDATE SKIP LOCKED" } else { "" }
        );
        let values = [state.as_str().into(), i64::from(limit).into()];
        let due = tx.query_all_raw(statement(tx.get_database_backend(), &text, values)).await?;
        due.iter().map(|row| row.try_get("", "gid")).collect()
    }

    /// Writes what became of the rows of a claim, of those that are still its own.
    pub(super) async fn settle(
        &self,
        claim: &Claim,
        from: OutboxState,
        outcomes: &Arc<Outcomes>,
    ) -> Result<(), DbErr> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let _permit = self.queue.join_surely().await;
        again(|| {
            let (outbox, owner, outcomes) = (self.clone(), claim.owner, Arc::clone(outcomes));
            whole(async move { outbox.settle_in_one(owner, from, &outcomes).await })
        })
        .await
    }

    /// One SQL transaction. Every early return drops it, which rolls it back.
    async fn settle_in_one(
        &self,
        owner: i64,
        from: OutboxState,
        outcomes: &Outcomes,
    ) -> Result<(), DbErr> {
        let tx = begin(&self.db).await?;
        for (next, gids) in outcomes {
            let attempts = match next.attempts {
                Attempts::Anew => "0",
                Attempts::Counted => "attempts",
                Attempts::NotThisOne => "attempts - 1",
            };
            let text = format!(
                "UPDATE tercet_outbox SET state = ?, owner = 0, due_at = {{now}} + ?, \
                 attempts = {attempts}, reason = ? WHERE owner = ? AND state = ? AND gid IN ({})",
                marks(gids.len())
            );
            let mut values: Vec<Value> = vec![
                next.state.as_str().into(),
                next.due_in_ms.into(),
                next.reason.clone().into(),
                owner.into(),
                from.as_str().into(),
            ];
            values.extend(gids.iter().map(|gid| Value::from(gid.as_str())));
            tx.execute_raw(statement(tx.get_database_backend(), &text, values)).await?;
        }
        commit(&self.db, tx).await
    }
}

fn read(row: &QueryResult) -> Result<Claimed, DbErr> {
    let attempts: i32 = row.try_get("", "attempts")?;
    let waited_ms: i64 = row.try_get("", "waited")?;
    Ok(Claimed {
        gid: row.try_get("", "gid")?,
        request: row.try_get("", "request")?,
        traceparent: row.try_get("", "traceparent")?,
        attempts: u32::try_from(attempts).unwrap_or(1),
        waited: Duration::from_millis(u64::try_from(waited_ms).unwrap_or(0)),
    })
}
