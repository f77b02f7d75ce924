//! The initiator's side of the outbox: what is written with the business change, and what people look at.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use tercet_wire::Gid;

use super::row;
use super::state::OutboxState;
use crate::client::{ClientError, NewTransaction};
use crate::guard::schema;
use crate::guard::store::ROUND_PAUSE;
use crate::guard::write_queue::WriteQueue;
use crate::sql::{again, statement};

/// What a coordinator takes as a request, at most.
const REQUEST_BYTES: usize = 1024 * 1024;

/// Why a message was not written. Unless the transaction is sent without it, roll it back.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// What was to be sent is no transaction.
    #[error(transparent)]
    Request(#[from] ClientError),
    /// The coordinator would say so later, when nobody can be told any more.
    #[error("{field}: {what}")]
    Invalid {
        /// Which field of the request.
        field: String,
        /// What is wrong with it.
        what: String,
    },
    /// Nobody would register its branches, or ask for its decision.
    #[error("a message needs branches, and is not open")]
    Open,
    /// It is larger than a request may be.
    #[error("a message of {0} bytes is larger than a request may be ({REQUEST_BYTES})")]
    TooLarge(usize),
    /// There is a message of this gid already: what is to be done once must not be done again.
    #[error("{0} was sent before")]
    Before(Gid),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// A message as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxEntry {
    /// The transaction's gid.
    pub gid: Gid,
    /// Where it stands.
    pub state: OutboxState,
    /// What went wrong the last time; of a dead one, why it is.
    pub reason: Option<String>,
    /// How often it was tried to be handed over, or asked for, since it came into this state.
    pub attempts: u32,
}

/// The local message table: a transaction is begun exactly if the SQL transaction commits in which it was sent.
///
/// A message is a transaction whose branches have Confirm alone (it is accepted, and then delivered until everybody
/// has acknowledged), or any other that begins with its branches: TCC, or a saga.
///
/// ```no_run
/// use sea_orm::{ConnectionTrait, Database, TransactionTrait};
/// use serde_json::json;
/// use tercet_participant::{Client, NewBranch, NewTransaction, Outbox, Relay};
///
/// # async fn place() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Database::connect("sqlite://orders.db?mode=rwc").await?;
/// let outbox = Outbox::new(db.clone());
/// outbox.migrate().await?;
/// // In this process, in others, or both: the program `tercet-relay` does the same.
/// Relay::new(outbox.clone(), Client::new("http://127.0.0.1:7200")?).spawn();
///
/// let tx = db.begin().await?;
/// tx.execute_unprepared("INSERT INTO orders (number) VALUES (17)").await?;
/// let invoice = NewBranch::new("invoice")
///     .confirm_url("http://billing.internal:7305/invoice/confirm")
///     .payload(&json!({"order": 17}))?;
/// outbox.send(&tx, NewTransaction::new().gid("order-17").branch(invoice)).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// No order is promised, neither of hand-over nor of delivery.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(super) db: DatabaseConnection,
    pub(super) queue: WriteQueue,
    /// Whether rows that others hold can be passed over; some servers do not have the words.
    pub(super) skips_locked: Arc<AtomicBool>,
}

impl Outbox {
    /// On this database, which must be the one that the business change is in.
    #[must_use]
    pub fn new(db: DatabaseConnection) -> Self {
        let queue = WriteQueue::of(&db);
        let skips_locked = db.get_database_backend() != DbBackend::Sqlite;
        Self { db, queue, skips_locked: Arc::new(AtomicBool::new(skips_locked)) }
    }

    /// Creates the table, `tercet_outbox`, where it is missing. Safe to repeat, and for several processes at once.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        schema::make(&self.db, row::create(self.db.get_database_backend()), ROUND_PAUSE).await
    }

    /// Sends a transaction, if `tx` commits: it is only written down here, and a relay hands it over. Without a gid of
    /// its own it gets one; with one that belongs to the deed, a repeat of the deed fails here.
    ///
    /// # Errors
    /// See [`NotSent`]. Nothing was written.
    pub async fn send(
        &self,
        tx: &DatabaseTransaction,
        transaction: NewTransaction,
    ) -> Result<Gid, NotSent> {
        let message = transaction.into_message()?;
        if message.body.len() > REQUEST_BYTES {
            return Err(NotSent::TooLarge(message.body.len()));
        }
        let backend = tx.get_database_backend();
        let text = match backend {
            DbBackend::MySql => {
                "INSERT IGNORE INTO tercet_outbox (gid, request, traceparent, state, owner, due_at, \
                 attempts, written_at) VALUES (?, ?, ?, 'pending', 0, {now}, 0, {now})"
            }
            _ => {
                "INSERT INTO tercet_outbox (gid, request, traceparent, state, owner, due_at, \
                 attempts, written_at) VALUES (?, ?, ?, 'pending', 0, {now}, 0, {now}) \
                 ON CONFLICT (gid) DO NOTHING"
            }
        };
        let gid = message.gid;
        let values = [gid.as_str().into(), message.body.into(), message.traceparent.into()];
        let written = tx.execute_raw(statement(backend, text, values)).await?;
        if written.rows_affected() == 0 { Err(NotSent::Before(gid)) } else { Ok(gid) }
    }

    /// A message as it stands; none if it was never sent, or was purged.
    ///
    /// # Errors
    /// The database's.
    pub async fn entry(&self, gid: &Gid) -> Result<Option<OutboxEntry>, DbErr> {
        let text = "SELECT gid, state, reason, attempts FROM tercet_outbox WHERE gid = ?";
        let found = self.read(text, [gid.as_str().into()]).await?;
        Ok(found.into_iter().next())
    }

    /// The dead ones, the oldest first; at most 500.
    ///
    /// # Errors
    /// The database's.
    pub async fn dead(&self) -> Result<Vec<OutboxEntry>, DbErr> {
        let text = "SELECT gid, state, reason, attempts FROM tercet_outbox WHERE state = ? \
                    ORDER BY due_at LIMIT 500";
        self.read(text, [OutboxState::Dead.as_str().into()]).await
    }

    /// Brings a dead one back, once the reason is gone: it is handed over anew, under its gid. Whether it was dead.
    ///
    /// # Errors
    /// The database's.
    pub async fn again(&self, gid: &Gid) -> Result<bool, DbErr> {
        let text = "UPDATE tercet_outbox SET state = ?, due_at = {now}, attempts = 0 \
                    WHERE gid = ? AND state = ?";
        let states = [OutboxState::Pending, OutboxState::Dead].map(OutboxState::as_str);
        let _permit = self.queue.join_surely().await;
        let brought = again(|| {
            let values = [states[0].into(), gid.as_str().into(), states[1].into()];
            self.db.execute_raw(statement(self.db.get_database_backend(), text, values))
        });
        Ok(brought.await?.rows_affected() == 1)
    }

    async fn read<const N: usize>(
        &self,
        text: &str,
        values: [sea_orm::Value; N],
    ) -> Result<Vec<OutboxEntry>, DbErr> {
        let select = statement(self.db.get_database_backend(), text, values);
        let found = self.db.query_all_raw(select).await?;
        let entry = |row: &sea_orm::QueryResult| {
            let unreadable = |what: &str| DbErr::Type(format!("tercet_outbox: {what:?}"));
            let (gid, state): (String, String) =
                (row.try_get("", "gid")?, row.try_get("", "state")?);
            let attempts: i32 = row.try_get("", "attempts")?;
            Ok(OutboxEntry {
                gid: gid.parse().map_err(|_| unreadable(&gid))?,
                state: OutboxState::read(&state).ok_or_else(|| unreadable(&state))?,
                reason: row.try_get("", "reason")?,
                attempts: u32::try_from(attempts).unwrap_or(0),
            })
        };
        found.iter().map(entry).collect()
    }
}
