//! What there is to tell: the single facts that an alert is made of.

use serde::Serialize;
use tercet_engine::{BranchRecord, Parked, StoredTransaction};
use tercet_wire::{BranchId, BranchSpec, Gid, Instance, Op, Wall};

/// A branch that is shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedBranch {
    /// Its transaction.
    pub gid: Gid,
    /// Which life of the gid.
    pub instance: Instance,
    /// Its id.
    pub branch: BranchId,
    /// `host:port` by which people know it.
    pub participant: String,
    /// The call that is not acknowledged.
    pub op: Op,
    /// How often it was made.
    pub attempts: u32,
    /// How the last one failed.
    pub last_error: Option<String>,
    /// When it was parked; absent for one that was found parked at a start.
    pub parked_at: Option<Wall>,
}

impl ParkedBranch {
    /// A branch that has just been parked, durably.
    #[must_use]
    pub fn new(gid: Gid, parked: Parked) -> Self {
        let Parked { instance, branch, op, attempts, last_error, at } = parked;
        Self {
            gid,
            instance,
            branch: branch.id.clone(),
            participant: branch.participant(),
            op,
            attempts,
            last_error: last_error.as_deref().map(str::to_owned),
            parked_at: Some(at),
        }
    }

    /// Every parked branch of a transaction as the journal has it.
    pub fn all_of(stored: &StoredTransaction) -> impl Iterator<Item = Self> {
        let op = stored.decision().map(tercet_engine::Decision::op);
        let parked = stored.branch_records.iter().filter(|_| !stored.status.is_finished());
        parked.filter_map(move |outcome| {
            let branch = stored.branches.iter().find(|branch| branch.id == outcome.branch)?;
            let (gid, instance) = (&stored.spec.gid, stored.spec.instance);
            Self::from_row(gid, instance, branch, op?, outcome)
        })
    }

    fn from_row(
        gid: &Gid,
        instance: Instance,
        branch: &BranchSpec,
        op: Op,
        outcome: &BranchRecord,
    ) -> Option<Self> {
        (outcome.parked && outcome.acknowledged_at.is_none()).then(|| Self {
            gid: gid.clone(),
            instance,
            branch: outcome.branch.clone(),
            participant: branch.participant(),
            op,
            attempts: *outcome.attempts.get(op),
            last_error: outcome.last_error.as_deref().map(str::to_owned),
            parked_at: None,
        })
    }
}

/// A transaction that was quarantined after a fault of ours, or whose rows make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Quarantined {
    pub(super) gid: Gid,
    pub(super) why: String,
}
