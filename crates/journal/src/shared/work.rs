//! What is done on the connection that writes.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::Statement;
use tercet_engine::{Batch, Chunk, Leave, TransactionKey};
use tercet_wire::{Gid, Incarnation};

use super::commit::drive;
use super::server::{Server, Session};
use super::store::TURN_WITHIN;
use crate::error::JournalError;
use crate::meters::StatementMeters;
use crate::sql::{ChunkMachine, CommitMachine, LeaveMachine};
use crate::store::CommitError;

/// What is done on the connection that writes. It may be done anew on another.
#[async_trait]
pub(super) trait Work<S: Server>: Send + Sync {
    type Done: Send;
    type Error: From<JournalError> + Send;

    /// How long it may take at most, once there is a connection.
    fn within(&self) -> Duration {
        TURN_WITHIN
    }

    async fn on(&self, session: &mut S::Session) -> Result<Self::Done, Self::Error>;
}

/// Writes this, numbered among this life's batches.
pub(super) struct Submit<'a, W> {
    pub(super) own: Incarnation,
    pub(super) what: &'a W,
    pub(super) meters: &'a StatementMeters,
}

#[async_trait]
impl<S: Server> Work<S> for Submit<'_, Batch> {
    type Done = Vec<TransactionKey>;
    type Error = CommitError;

    async fn on(&self, session: &mut S::Session) -> Result<Vec<TransactionKey>, CommitError> {
        let machine = CommitMachine::new(S::DIALECT, self.own, self.what)?;
        drive::<S, _>(session, machine, self.meters).await
    }
}

#[async_trait]
impl<S: Server> Work<S> for Submit<'_, Chunk> {
    type Done = Vec<Gid>;
    type Error = CommitError;

    async fn on(&self, session: &mut S::Session) -> Result<Vec<Gid>, CommitError> {
        let machine = ChunkMachine::new(S::DIALECT, self.own, self.what);
        drive::<S, _>(session, machine, self.meters).await
    }
}

#[async_trait]
impl<S: Server> Work<S> for Submit<'_, Leave> {
    type Done = ();
    type Error = CommitError;

    async fn on(&self, session: &mut S::Session) -> Result<(), CommitError> {
        let machine = LeaveMachine::new(S::DIALECT, self.own, self.what);
        drive::<S, _>(session, machine, self.meters).await
    }
}

/// Executes these in one transaction, and says how many rows the last one changed.
///
/// No batch is written meanwhile, and so no sign of life: it must be over before others take this
/// life for dead. What takes longer is given up with its connection; the server lets go of it too.
pub(super) struct Delete {
    pub(super) statements: Vec<Statement>,
    pub(super) within: Duration,
}

#[async_trait]
impl<S: Server> Work<S> for Delete {
    type Done = u64;
    type Error = JournalError;

    fn within(&self) -> Duration {
        self.within
    }

    async fn on(&self, session: &mut S::Session) -> Result<u64, JournalError> {
        S::begin_brief(session, self.within).await?;
        let mut changed = 0;
        for statement in &self.statements {
            changed = session.execute(statement).await?;
        }
        session.batch("COMMIT".to_owned()).await?;
        S::end_brief(session).await?;
        Ok(changed)
    }
}
