//! An initiator that sends messages: each is written into its outbox in the SQL transaction that places an order.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};
use serde_json::{Value, json};
use tercet_participant::{NewBranch, NewTransaction, NotSent, Outbox};
use tokio::sync::Semaphore;

use super::deliveries::Deliveries;
use super::initiator::{Detours, Initiator};
use super::initiator_log::{End, InitiatorLog};
use crate::clock;

/// The pause after its database has failed.
const PAUSE: Duration = Duration::from_millis(20);

/// Connections of all senders together.
pub(crate) const CONNECTIONS: usize = 32;

/// Of so many orders one is given up before it commits: its message must never be seen.
const GIVEN_UP_OF: u64 = 10;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Messages {
    /// An order's number; and of ten orders one is given up.
    Short,
    /// One to two KiB, and no order is given up.
    Long,
}

/// Sends.
#[derive(Debug)]
pub(crate) struct Sender {
    messages: Messages,
    db: DatabaseConnection,
    outbox: Outbox,
    /// One for each connection: who waits for one waits in order, however long that takes.
    connections: Semaphore,
    /// Where messages go.
    confirm: String,
    deliveries: Deliveries,
}

impl Sender {
    /// One on this database, in which its table is; messages go to the order service.
    pub(crate) fn new(
        db: DatabaseConnection,
        order: &str,
        messages: Messages,
        by: Initiator,
    ) -> Self {
        let base = order.trim_end_matches("/order");
        Self {
            messages,
            outbox: Outbox::new(db.clone()),
            connections: Semaphore::new(CONNECTIONS),
            db,
            confirm: format!("{order}/deliver"),
            deliveries: Deliveries::at(base, by),
        }
    }

    /// Places an order and sends its message, again and again until it knows that both are committed, and then until
    /// the message has come.
    pub(super) async fn carry_through(&self, number: u64, log: &mut InitiatorLog) -> Detours {
        let mut detours = Detours::default();
        let payload = match self.messages {
            Messages::Short => json!({"order": log.gid}),
            Messages::Long => {
                let bytes = 1_024 + usize::try_from(number * 37 % 1_024).unwrap_or_default();
                json!({"order": log.gid, "note": "x".repeat(bytes)})
            }
        };
        let commits = self.messages == Messages::Long || number % GIVEN_UP_OF != GIVEN_UP_OF - 1;
        let arrival = self.deliveries.of(&log.gid);
        loop {
            match self.place(&log.gid, &payload, commits).await {
                Ok(()) => break,
                // That its answer was lost does not keep it from having been committed.
                Err(NotSent::Before(_)) => break,
                Err(NotSent::Database(_)) => {
                    detours.unanswered += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(other) => {
                    log.contradictions.push(format!("not sent: {other}"));
                    return detours;
                }
            }
        }
        if !commits {
            log.decision = Some(End::Cancelled);
            log.finished = Some(clock::now());
            return detours;
        }
        log.decision = Some(End::Confirmed);
        log.finished = arrival.await.ok();
        detours
    }

    async fn place(&self, gid: &str, payload: &Value, commits: bool) -> Result<(), NotSent> {
        // It is never closed; were it, the pool would still bound them.
        let _connection = self.connections.acquire().await.ok();
        let tx = self.db.begin().await?;
        tx.execute_unprepared(&format!("INSERT INTO orders (gid) VALUES ('{gid}')")).await?;
        let invoice = NewBranch::new("invoice").confirm_url(&self.confirm).payload(payload)?;
        self.outbox.send(&tx, NewTransaction::new().gid(gid).branch(invoice)).await?;
        let ended: Result<(), DbErr> =
            if commits { tx.commit().await } else { tx.rollback().await };
        Ok(ended?)
    }
}
