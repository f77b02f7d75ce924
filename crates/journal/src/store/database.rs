//! What a URL leads to: a database that may have to be made first.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::DatabaseConnection;
use tercet_engine::HoldChange;
use tercet_migrations::StepStatus;
use tercet_wire::Wall;
use tokio::runtime::Handle;

use super::Store;
use crate::error::JournalError;
use crate::settings::JournalSettings;
use crate::sql::LifeOfNode;

/// A database that nobody else uses.
pub(crate) struct Offline {
    pub(crate) connection: DatabaseConnection,
    /// The rows of all lives, as they stood still.
    pub(crate) lives: Vec<LifeOfNode>,
    /// What keeps others out for as long as it is held, where anything does.
    pub(crate) _kept: Option<Box<dyn Any + Send + Sync>>,
}

/// Keeps nodes and other copies off a database that is being filled.
#[async_trait]
pub(crate) trait Filling: Send {
    /// Says now and then that nobody else may use it; returns when somebody may.
    async fn keep(&mut self) -> JournalError;

    /// A statement that changes one row, if nobody else may use it still: committed together with what
    /// rests on that.
    fn proof(&self) -> String;

    /// Lets others use it.
    async fn release(self: Box<Self>);
}

/// A place where rows can be kept for good.
#[async_trait]
pub(crate) trait Database: std::fmt::Debug + Send + Sync {
    /// Takes what keeps other processes out, where there may be only one, brings the schema up to
    /// date, claims the rows of earlier lives and makes the store. It is called on the journal's
    /// own thread, which is for the writer alone: connections that read are opened on `readers`,
    /// the runtime that will use them.
    async fn open(
        &self,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Arc<dyn Store>, JournalError>;

    /// Brings the schema up to date; makes the database if it is missing.
    async fn migrate_up(&self) -> Result<(), JournalError>;

    /// Which steps of the schema it has; one that is missing has none. Changes nothing.
    async fn migration_status(&self) -> Result<Vec<StepStatus>, JournalError>;

    /// A connection for whoever has the database to himself, with the schema up to date.
    ///
    /// # Errors
    /// Somebody uses it, or it cannot be used.
    async fn offline(&self) -> Result<Offline, JournalError>;

    /// Keeps nodes and other copies off it while it is filled; nothing where a connection for whoever has
    /// it to himself does so.
    ///
    /// # Errors
    /// Another fills it, or it cannot be used.
    async fn fill(&self) -> Result<Option<Box<dyn Filling>>, JournalError>;

    /// Sees to it that none of these lives writes ever again, if they are as they were seen. Returns
    /// the rows of all lives, of which none is live where several processes may use them.
    ///
    /// # Errors
    /// One has written meanwhile, or another has begun.
    async fn end_lives(&self, seen: &[LifeOfNode]) -> Result<Vec<LifeOfNode>, JournalError>;

    /// What is held of it, where other nodes may use it already. Where one process has it there is
    /// nobody else.
    async fn held_by_others(&self) -> Result<Option<HoldChange>, JournalError>;

    /// Looks whether a journal could stand on it: whose it is, and whether it keeps what it acknowledges.
    /// Changes nothing, and keeps nobody out.
    async fn check(&self) -> Result<(), JournalError>;
    /// The file that it is, if it is one of this machine's.
    fn file(&self) -> Option<&Path>;

    /// Why it may lose what it acknowledges, if the file system under it is known to.
    fn untrusted_file_system(&self) -> Option<&'static str>;
}
