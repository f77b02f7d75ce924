//! What operators do, as the audit has it.

use std::sync::Arc;

use tercet_wire::{ActId, Action, AuditEntryView, BranchId, Gid, Wall};

use crate::record::Change;

/// Something that an operator did: a row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Act {
    /// The row's id.
    pub id: ActId,
    /// When it was done.
    pub at: Wall,
    /// Who did it.
    pub who: Arc<str>,
    /// What role they had.
    pub role: Arc<str>,
    /// What it was.
    pub action: Action,
    /// To which transaction; none where it is to no single one.
    pub gid: Option<Gid>,
    /// To which branch, if one.
    pub branch: Option<BranchId>,
    /// Why, in the operator's words.
    pub note: Option<Arc<str>>,
    /// What belongs to the action, as a JSON object.
    pub detail: Arc<str>,
}

impl Act {
    /// Bytes of the texts in it.
    pub(crate) fn text_bytes(&self) -> usize {
        let note = self.note.as_deref().map_or(0, str::len);
        self.who.len() + self.role.len() + note + self.detail.len()
    }
}

/// An act and all that it changed at once. They are one record, so that nothing ever comes between
/// the two: no end of a batch, no half of one, no crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Acted {
    /// Its row.
    pub act: Act,
    /// What it changed, in this order; none if there was nothing to be changed.
    pub changes: Vec<Change>,
}

impl From<&Act> for AuditEntryView {
    fn from(act: &Act) -> Self {
        Self {
            id: act.id,
            at: act.at,
            who: act.who.to_string(),
            role: act.role.to_string(),
            action: act.action.to_string(),
            gid: act.gid.clone(),
            branch: act.branch.clone(),
            note: act.note.as_deref().map(str::to_owned),
            // We have written it ourselves.
            detail: serde_json::from_str(&act.detail).unwrap_or_default(),
        }
    }
}
