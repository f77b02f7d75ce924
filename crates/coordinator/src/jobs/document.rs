//! What a job's revisions say beside their numbers, as JSON.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tercet_engine::JobRevision;
use tercet_wire::{Gid, Instance, JobAction, JobFailureView, ResolvedAs, Wall};

use super::JobError;

/// What was asked for: with the first revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) action: JobAction,
    #[serde(rename = "as")]
    pub(super) as_: Option<ResolvedAs>,
    pub(super) note: Option<Arc<str>>,
    pub(super) filter: Map<String, Value>,
    pub(super) who: Arc<str>,
}

/// Some of the transactions that were found: with a revision each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// When the job began to look: nothing that was begun later is found.
    pub(super) began: Wall,
    /// The place of the first of these, from 1.
    pub(super) first: u32,
    /// Where to look further; nowhere if that was all.
    pub(super) next: Option<String>,
    pub(super) transactions: Vec<(Gid, Instance)>,
}

/// What came of it: with the last revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) failed: Vec<JobFailureView>,
}

/// As it is kept.
pub(super) fn written(what: &impl Serialize) -> Arc<str> {
    // Texts, numbers and lists alone: there is nothing in it that JSON could not say.
    Arc::from(serde_json::to_string(what).unwrap_or_default())
}

/// What a revision says.
pub(super) fn read<T: DeserializeOwned>(revision: &JobRevision) -> Result<T, JobError> {
    let document = revision.document.as_deref().unwrap_or_default();
    let read = serde_json::from_str(document);
    read.map_err(|error| JobError::Damaged { id: revision.id, why: error.to_string() })
}
