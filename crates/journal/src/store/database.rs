//! What a URL leads to: a database that may have to be made first.

use std::sync::Arc;

use async_trait::async_trait;
use tercet_migrations::StepStatus;
use tercet_wire::Wall;
use tokio::runtime::Handle;

use super::Store;
use crate::error::JournalError;
use crate::settings::JournalSettings;

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

    /// Why it may lose what it acknowledges, if the file system under it is known to.
    fn untrusted_file_system(&self) -> Option<&'static str>;
}
