//! A life's beginning, where several nodes use one database.
//!
//! ```text
//!   live rows of this node's name ─ none ──▶ own row ──▶ open
//!     ▲        │ two heartbeats later
//!     │        ├─ one has moved ──▶ refused: two nodes have one name
//!     │        └─ none has ──▶ marked, if they still have not ─┐
//!     └────────────────────────────────────────────────────────┘
//! ```
//!
//! Other nodes' lives are left alone, and nothing is taken over: what nobody drives is found by
//! whoever watches the rows, which this node will do like any other.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use tercet_engine::LifeState;
use tercet_wire::{Incarnation, Wall};

use super::address::Address;
use super::cluster::{all, mark_fenced};
use super::schema;
use super::server::Server;
use crate::error::JournalError;
use crate::sql::{LifeOfNode, SharedDialect};
use crate::store::Life;

/// How often namesakes are watched: more than once only where one has moved just as it was to be
/// marked, or another has begun.
const WATCHES: u32 = 8;

/// Who holds the schema's lock.
const HELD: &str = "SELECT holder FROM schema_lock WHERE id = 1 FOR UPDATE";

/// Registers a life, unless the database is being filled by a copy. Returns when anybody wrote last, which its row keeps until its own first
/// batch.
pub(super) async fn register<S: Server>(
    at: &Address,
    starting: &DatabaseConnection,
    life: &Life,
    heartbeat: Duration,
) -> Result<Option<Wall>, JournalError> {
    end_namesakes::<S>(at, starting, life, heartbeat).await?;
    let rows = all::<S>(starting).await?;
    let last_written = rows.iter().filter_map(|row| row.written_at).max().map(Wall);
    let transaction = loop {
        let transaction = starting.begin().await?;
        // Kept until the row is there: whoever comes to fill the database then finds it.
        let backend = starting.get_database_backend();
        let lock = transaction.query_one_raw(Statement::from_string(backend, HELD)).await?;
        let holder = lock.map(|lock| lock.try_get_by_index::<i64>(0)).transpose()?;
        if !holder.is_some_and(schema::fills) {
            break transaction;
        }
        transaction.rollback().await?;
        schema::until_not_filled::<S>(at).await?;
    };
    for statement in S::DIALECT.register(life, last_written) {
        transaction.execute_raw(statement).await?;
    }
    transaction.commit().await?;
    Ok(last_written)
}

/// Sees to it that no earlier life of this node may write. They are most likely over, since this
/// one starts; but the name may be another's too.
async fn end_namesakes<S: Server>(
    at: &Address,
    starting: &DatabaseConnection,
    life: &Life,
    heartbeat: Duration,
) -> Result<(), JournalError> {
    let mut url = String::new();
    for _ in 0..WATCHES {
        let before = namesakes::<S>(starting, life).await?;
        let Some(first) = before.first() else { return Ok(()) };
        url.clone_from(&first.url);
        tracing::info!(
            event = "namesake_awaited",
            node_id = life.node_id,
            url,
            "a life of this node is marked as running: watching whether it gives a sign of life"
        );
        tokio::time::sleep(heartbeat * 2).await;
        let now = namesakes::<S>(starting, life).await?;
        let moved = |row: &&LifeOfNode| {
            let seen = before.iter().find(|seen| seen.incarnation == row.incarnation);
            seen.is_some_and(|seen| seen.batch_no != row.batch_no)
        };
        if let Some(lives) = now.iter().find(moved) {
            return Err(taken(life, &lives.url));
        }
        for silent in &before {
            // Whether it was or not is seen when they are looked at again.
            mark_fenced::<S>(at, Incarnation(silent.incarnation), silent.batch_no).await?;
        }
    }
    Err(taken(life, &url))
}

fn taken(life: &Life, url: &str) -> JournalError {
    JournalError::NodeIdTaken { node_id: life.node_id.clone(), url: url.to_owned() }
}

/// Live rows of this node's name.
async fn namesakes<S: Server>(
    starting: &DatabaseConnection,
    life: &Life,
) -> Result<Vec<LifeOfNode>, JournalError> {
    let mut rows = all::<S>(starting).await?;
    rows.retain(|row| row.node_id == life.node_id && row.state == LifeState::Live.as_str());
    Ok(rows)
}
