//! Placeholder of the API's branch: one transaction as rows show it.

use crate::engine::output::Snapshot;
use crate::ids::BranchId;
use crate::record::Decision;
use crate::status::{BranchStatus, Status};
use crate::stored::Stored;
use crate::time::Now;
use crate::wire::{BranchView, SummaryView, TransactionView};

/// One live transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transaction {
    stored: Stored,
}

impl Transaction {
    /// The transaction that these rows describe.
    #[must_use]
    pub fn restore(stored: &Stored, _now: Now) -> Self {
        Self { stored: stored.clone() }
    }
}

impl Snapshot {
    /// The transaction with its branches.
    #[must_use]
    pub fn view(&self) -> TransactionView {
        let stored = &self.transaction.stored;
        let (reason, detail) = match stored.decision() {
            Some(Decision::Cancel { reason, detail }) => (Some(*reason), detail.clone()),
            Some(Decision::Confirm) | None => (None, None),
        };
        let spec = &stored.spec;
        TransactionView {
            summary: SummaryView {
                gid: spec.gid.clone(),
                instance: spec.instance,
                pattern: spec.pattern,
                status: stored.status,
                open: spec.open,
                reason,
                reason_detail: detail.map(|detail| detail.to_string()),
                parked: stored.parked,
                created_at: spec.created_at,
                deadline_at: spec.deadline_at,
                decided_at: stored.decided.as_ref().map(|decided| decided.at),
                finished_at: stored.finished_at,
                metadata: spec.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
                branch_count: None,
            },
            branches: stored
                .branches
                .iter()
                .filter_map(|branch| self.branch_view(&branch.id))
                .collect(),
        }
    }

    /// One of its branches.
    #[must_use]
    pub fn branch_view(&self, id: &BranchId) -> Option<BranchView> {
        let stored = &self.transaction.stored;
        let branch = stored.branches.iter().find(|branch| branch.id == *id)?;
        Some(BranchView {
            id: branch.id.clone(),
            participant: branch.participant(),
            status: match stored.status {
                Status::Trying | Status::Confirming | Status::Cancelling => BranchStatus::Tried,
                Status::Confirmed => BranchStatus::Confirmed,
                Status::Cancelled => BranchStatus::Cancelled,
            },
            parked: false,
            attempts: Default::default(),
            next_attempt_at: None,
            last_error: None,
            answer: None,
            resolved_as: None,
            finished_at: None,
        })
    }
}
