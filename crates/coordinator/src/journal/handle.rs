//! Placeholder of the API's branch: a journal that holds nothing.

use tercet_protocol::wire::{ListQuery, Page, SummaryView};
use tercet_protocol::{Gid, Happening};
use thiserror::Error;

/// A read that did not work.
#[derive(Debug, Error)]
#[error("the journal cannot be read")]
pub struct JournalError;

/// The journal.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    _nothing: (),
}

impl Journal {
    /// Transactions, newest first.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn list(&self, _query: &ListQuery) -> Result<Page<SummaryView>, JournalError> {
        Ok(Page { items: Vec::new(), next_cursor: None })
    }

    /// Lines of one transaction's history after the `after`-th.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn history(
        &self,
        _gid: &Gid,
        _after: u32,
        _limit: u32,
    ) -> Result<Vec<Happening>, JournalError> {
        Ok(Vec::new())
    }
}

/// A step of the schema.
#[derive(Debug)]
pub struct StepStatus {
    /// Its name.
    pub name: String,
    /// Whether it was applied.
    pub applied: bool,
}

/// Brings the schema up to date.
///
/// # Errors
/// The database did not answer.
pub async fn migrate_up(_url: &str) -> Result<(), JournalError> {
    Ok(())
}

/// How far the schema is.
///
/// # Errors
/// The database did not answer.
pub async fn migration_status(_url: &str) -> Result<Vec<StepStatus>, JournalError> {
    Ok(Vec::new())
}
