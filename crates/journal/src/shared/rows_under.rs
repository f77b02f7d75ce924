//! Where the rows of what is begun from now on stand, where several nodes use one database: under its instance, as soon as
//! every node that lives finds them there, and under its gid before. What was begun is found by what its own row says.

use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{DbBackend, Statement};
use tercet_engine::LifeState;
use tercet_wire::RowsUnder;

use super::address::Address;
use super::cluster::alone;
use super::server::Server;
use crate::error::JournalError;
use crate::sql::LifeOfNode;

/// From this protocol on a node finds rows wherever they stand.
const FINDS_ROWS: i32 = 4;

/// What this node goes by.
#[derive(Debug)]
pub(super) struct Standing {
    can_go_back: bool,
    under_instance: AtomicBool,
    /// Whether programs are kept out that would not find them.
    kept_out: AtomicBool,
}

impl Standing {
    /// Of one that has seen nobody yet; `can_go_back`: all stands under gids.
    pub(super) fn new(can_go_back: bool) -> Self {
        let (under_instance, kept_out) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { can_go_back, under_instance, kept_out }
    }

    pub(super) fn rows_under(&self) -> RowsUnder {
        match self.under_instance.load(Ordering::Relaxed) {
            true => RowsUnder::Instance,
            false => RowsUnder::Gid,
        }
    }

    /// These lives were seen. A node that does not find them, and has come nevertheless, is allowed for from the next begin on.
    pub(super) async fn seen<S: Server>(
        &self,
        at: &Address,
        on: DbBackend,
        lives: &[LifeOfNode],
    ) -> Result<(), JournalError> {
        if self.can_go_back {
            return Ok(());
        }
        let found_by_all = lives
            .iter()
            .filter(|life| life.state == LifeState::Live.as_str())
            .all(|life| life.protocol >= FINDS_ROWS);
        if found_by_all && !self.kept_out.load(Ordering::Relaxed) {
            // Before the first such row: who starts afterwards finds that it cannot use the database.
            let raised = Statement::from_string(on, tercet_migrations::rows_under_instances());
            alone::<S>(at, raised).await?;
            self.kept_out.store(true, Ordering::Relaxed);
        }
        self.under_instance.store(found_by_all, Ordering::Relaxed);
        Ok(())
    }
}
