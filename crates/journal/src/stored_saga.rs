//! What the journal has of definitions of sagas.

use tercet_engine::SagaRevision;
use tercet_wire::{SagaName, Wall};

/// A name, and the version of it that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSaga {
    /// What became of the name last: its newest version, or that it was retired.
    pub newest: SagaRevision,
    /// The version that was asked for, or the newest; none if it never was.
    pub found: Option<SagaRevision>,
    /// When what was found was retired, if it was.
    pub retired_at: Option<Wall>,
}

/// A name in a list, without its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSaga {
    /// The name.
    pub name: SagaName,
    /// Its newest version.
    pub version: u32,
    /// When that was put or, if it is retired, retired.
    pub at: Wall,
    /// Whether it is retired.
    pub retired: bool,
}
