//! A server's database for whoever has it to himself.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::DatabaseConnection;
use tercet_engine::LifeState;
use tercet_wire::Incarnation;

use super::address::Address;
use super::cluster::{all, mark_fenced};
use super::schema::{self, SchemaLock};
use super::server::Server;
use crate::error::JournalError;
use crate::sql::{LifeOfNode, discard};
use crate::store::{Filling, Offline};

/// How long lives are watched: a node at work gives a sign of life several times in it.
const WATCHED_FOR: Duration = Duration::from_secs(3);

/// A connection, if no node is at work.
pub(crate) async fn offline<S: Server>(at: &Address) -> Result<Offline, JournalError> {
    schema::migrate_up::<S>(at).await?;
    let connection = S::starting(at)?;
    let lives = silent::<S>(&connection).await?;
    Ok(Offline { connection, lives, _kept: None })
}

/// The rows of all lives, none of which has moved while they were watched.
async fn silent<S: Server>(
    connection: &DatabaseConnection,
) -> Result<Vec<LifeOfNode>, JournalError> {
    let before = all::<S>(connection).await?;
    if before.iter().any(is_live) {
        tokio::time::sleep(WATCHED_FOR).await;
        let now = all::<S>(connection).await?;
        if let Some(moved) = now.into_iter().find(|row| is_live(row) && !before.contains(row)) {
            return Err(JournalError::NotOffline { url: moved.url });
        }
    }
    Ok(before)
}

/// Fences these lives, each if it has not written since it was seen.
pub(crate) async fn end_lives<S: Server>(
    at: &Address,
    seen: &[LifeOfNode],
) -> Result<Vec<LifeOfNode>, JournalError> {
    for life in seen.iter().filter(|row| is_live(row)) {
        // Whether it was or not is seen when they are looked at again.
        mark_fenced::<S>(at, Incarnation(life.incarnation), life.batch_no).await?;
    }
    let connection = S::starting(at)?;
    let rows = all::<S>(&connection).await;
    discard(connection).await;
    let rows = rows?;
    match rows.iter().find(|row| is_live(row)) {
        Some(lives) => Err(JournalError::NotOffline { url: lives.url.clone() }),
        None => Ok(rows),
    }
}

/// Keeps others off a database that is to be filled. Whoever began before has its row there.
pub(crate) async fn fill<S: Server>(at: &Address) -> Result<Box<dyn Filling>, JournalError> {
    Ok(Box::new(SchemaLock::<S>::take_to_fill(at).await?))
}

#[async_trait]
impl<S: Server> Filling for SchemaLock<S> {
    async fn keep(&mut self) -> JournalError {
        self.keep().await
    }

    fn proof(&self) -> String {
        self.proof()
    }

    async fn release(self: Box<Self>) {
        (*self).release().await;
    }
}

fn is_live(row: &LifeOfNode) -> bool {
    row.state == LifeState::Live.as_str()
}
