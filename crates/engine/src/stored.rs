//! A transaction as the journal holds it: what recovery starts from, and the
//! meaning of every record. The SQL of each database says the same in its own words;
//! the journal's conformance suite compares the two.

use std::sync::Arc;

use tercet_wire::{BranchSpec, Gid, Incarnation, Instance, Spec, Status, Wall};
use thiserror::Error;

use crate::record::{BranchRecord, Change, Decided, Decision, HistoryEvent};

/// All rows of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoredTransaction {
    /// What was asked for. Its `branches` are those given at begin.
    pub spec: Arc<Spec>,
    /// Every branch, by position: those of begin and those registered later.
    pub branches: Vec<Arc<BranchSpec>>,
    /// Where it stands.
    pub status: Status,
    /// The decision, once taken.
    pub decided: Option<Decided>,
    /// When everyone had acknowledged.
    pub finished_at: Option<Wall>,
    /// Whether a branch is shown to people.
    pub parked: bool,
    /// Which life of a node drives it. The journal says so of what it has read; none if it has
    /// finished. The rules never look at it.
    pub owner: Option<Incarnation>,
    /// What left the happy path; at most one per branch.
    pub branch_records: Vec<BranchRecord>,
    /// The lines of history. A load leaves them out and gives their number only.
    pub history: Vec<HistoryEvent>,
    /// How many lines of history there are.
    pub history_len: u32,
    /// How many of them say what people did.
    pub history_by_hand: u32,
}

/// A record that does not fit the rows it is applied to: a bug of ours, never the world's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The transaction is not there.
    #[error("no transaction {0}")]
    Missing(Gid),
    /// The gid is taken by another instance.
    #[error("{gid} exists as instance {instance}")]
    Exists {
        /// The gid.
        gid: Gid,
        /// The instance that holds it.
        instance: Instance,
    },
    /// The status is not the one the change starts from.
    #[error("{gid} is {found}, not as the change expects")]
    Guard {
        /// The gid.
        gid: Gid,
        /// Its status.
        found: Status,
    },
}

impl StoredTransaction {
    /// The rows that `Change::Begun` writes.
    #[must_use]
    pub fn begun(spec: Arc<Spec>) -> Self {
        Self {
            branches: spec.branches.clone(),
            spec,
            status: Status::Trying,
            decided: None,
            finished_at: None,
            parked: false,
            owner: None,
            branch_records: Vec::new(),
            history: Vec::new(),
            history_len: 0,
            history_by_hand: 0,
        }
    }

    /// Writes a change to existing rows.
    ///
    /// # Errors
    /// The change's source state is not the one found; the rows are as before.
    pub fn apply(&mut self, change: &Change) -> Result<(), ApplyError> {
        let guard = |expected: bool| match expected {
            true => Ok(()),
            false => Err(ApplyError::Guard { gid: self.spec.gid.clone(), found: self.status }),
        };
        match change {
            Change::Begun(spec) => {
                return Err(ApplyError::Exists {
                    gid: spec.gid.clone(),
                    instance: self.spec.instance,
                });
            }
            Change::Registered(branch) => {
                guard(self.status == Status::Trying)?;
                self.branches.push(Arc::clone(branch));
            }
            Change::Decided(decided) => {
                guard(self.status == Status::Trying)?;
                self.status = decided.decision.status();
                self.decided = Some(decided.clone());
            }
            Change::BranchRecord(outcome) => {
                self.branch_records.retain(|known| known.branch != outcome.branch);
                self.branch_records.push(outcome.clone());
                self.branch_records.sort_by(|a, b| a.branch.cmp(&b.branch));
            }
            Change::Finished { status, at } => {
                let decision = self.decided.as_ref().map(|decided| &decided.decision);
                let fits = decision.is_some_and(|decision| decision.finished_status() == *status);
                guard(fits && !self.status.is_finished())?;
                self.status = *status;
                self.finished_at = Some(*at);
                self.owner = None;
            }
            Change::Parked(parked) => self.parked = *parked,
            Change::History(happening) => {
                self.history.push(happening.clone());
                self.history_len = self.history_len.max(happening.number);
                self.history_by_hand += u32::from(happening.kind.is_by_hand());
            }
        }
        Ok(())
    }

    /// The decision, once taken.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.decided.as_ref().map(|decided| &decided.decision)
    }
}
