//! A database on a server, before anything is opened.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tercet_engine::HoldChange;
use tercet_migrations::StepStatus;
use tercet_wire::Wall;
use tokio::runtime::Handle;

use super::address::Address;
use super::server::{Server, Session};
use super::store::{SharedStore, writer};
use super::{end_lives, fill, migrate_up, migration_status, offline};
use crate::error::JournalError;
use crate::settings::JournalSettings;
use crate::sql::{LifeOfNode, discard, holds};
use crate::store::{Database, Filling, Offline, Store};

/// A database on a server of this kind.
pub(crate) struct SharedDatabase<S> {
    at: Address,
    _on: PhantomData<S>,
}

impl<S: Server> SharedDatabase<S> {
    /// The database at this URL.
    pub(crate) fn parse(url: &str) -> Result<Self, JournalError> {
        let at = Address::parse(url, S::FORM)?;
        S::check_address(&at)?;
        Ok(Self { at, _on: PhantomData })
    }
}

impl<S> fmt::Debug for SharedDatabase<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedDatabase").field(&self.at).finish()
    }
}

#[async_trait]
impl<S: Server> Database for SharedDatabase<S> {
    async fn open(
        &self,
        settings: &JournalSettings,
        started_at: Wall,
        readers: &Handle,
    ) -> Result<Arc<dyn Store>, JournalError> {
        Ok(Arc::new(SharedStore::<S>::open(&self.at, settings, started_at, readers).await?))
    }

    async fn migrate_up(&self) -> Result<(), JournalError> {
        migrate_up::<S>(&self.at).await
    }

    async fn migration_status(&self) -> Result<Vec<StepStatus>, JournalError> {
        migration_status::<S>(&self.at).await
    }

    async fn offline(&self) -> Result<Offline, JournalError> {
        offline::<S>(&self.at).await
    }

    async fn fill(&self) -> Result<Option<Box<dyn Filling>>, JournalError> {
        fill::<S>(&self.at).await.map(Some)
    }

    async fn end_lives(&self, seen: &[LifeOfNode]) -> Result<Vec<LifeOfNode>, JournalError> {
        end_lives::<S>(&self.at, seen).await
    }

    async fn held_by_others(&self) -> Result<Option<HoldChange>, JournalError> {
        migrate_up::<S>(&self.at).await?;
        let starting = S::starting(&self.at)?;
        let newest = holds::newest(&starting).await;
        discard(starting).await;
        Ok(newest?.filter(|newest| newest.held_to.is_some()))
    }

    async fn check(&self) -> Result<(), JournalError> {
        writer::<S>(&self.at).await?.end().await;
        Ok(())
    }

    fn file(&self) -> Option<&Path> {
        None
    }

    fn untrusted_file_system(&self) -> Option<&'static str> {
        // It is on another machine, whose file systems are not ours to see.
        None
    }
}
