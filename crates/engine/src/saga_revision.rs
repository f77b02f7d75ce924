//! What is written of a saga's definition, with the act that asks for it.

use std::sync::Arc;

use tercet_wire::{SagaName, Wall};

use crate::act::Act;
use crate::hold_change::HoldChange;
use crate::job::JobWrite;
use crate::participant_pause::ParticipantPause;

/// A change of what a name stands for: a row that is added, and never changed. A name's revisions
/// have no gaps, so of two that were made of the same one only one can be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SagaRevision {
    /// Whose.
    pub name: SagaName,
    /// Which of its changes, from 1.
    pub revision: u32,
    /// The version that it puts; or, where it retires the name, the newest that it retires.
    pub version: u32,
    /// The definition as JSON; none where it retires the name.
    pub document: Option<Arc<str>>,
    /// When.
    pub at: Wall,
    /// Who asked for it.
    pub who: Arc<str>,
}

impl SagaRevision {
    /// Whether it retires its name.
    #[must_use]
    pub fn retires(&self) -> bool {
        self.document.is_none()
    }
}

/// What an operator does to no single transaction, and what becomes of a definition, of a participant or of
/// a job by it; or what a job does by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ActAlone {
    /// Its row in the audit; none where nobody asked for it just now.
    pub act: Option<Act>,
    /// Written in the same commit, if it is about a definition.
    pub revision: Option<SagaRevision>,
    /// Likewise, if a participant is paused or resumed.
    pub pause: Option<ParticipantPause>,
    /// Written in the same commit, if it is about a job.
    pub job: Option<JobWrite>,
    /// Likewise, if it releases what was held since a restore.
    pub hold: Option<HoldChange>,
}

impl From<Act> for ActAlone {
    fn from(act: Act) -> Self {
        Self { act: Some(act), ..Self::default() }
    }
}
