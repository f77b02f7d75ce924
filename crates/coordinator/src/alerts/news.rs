//! What there is to tell: the single facts that an alert is made of.

use serde::Serialize;
use tercet_protocol::{
    BranchId, BranchSpec, Change, Gid, Instance, Op, Outcome, Record, Stored, Transaction, Wall,
};

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
    /// The branch of this outcome, if it is parked now: an undecided transaction has no
    /// parked branch, nor has an acknowledged one.
    fn of(transaction: &Transaction, outcome: &Outcome, at: Wall) -> Option<Self> {
        let branch = transaction.branch(&outcome.branch)?;
        let op = transaction.decision()?.op();
        let (gid, instance) = (transaction.gid(), transaction.instance());
        Self::from_parts(gid, instance, branch.spec(), op, outcome, Some(at))
    }

    /// The branches that become parked by these records, which are as the engine wrote them.
    ///
    /// A row that says "parked" is written for other reasons too; where the branch becomes so,
    /// the transaction's own flag follows.
    pub fn all_parked_by<'a>(
        records: &'a [Record],
        transaction: impl Fn(&Gid) -> Option<&'a Transaction> + 'a,
        at: Wall,
    ) -> impl Iterator<Item = Self> + 'a {
        records.windows(2).filter_map(move |pair| {
            let [row, flag] = pair else { return None };
            match (&row.change, &flag.change) {
                (Change::Outcome(outcome), Change::Parked(true)) if row.gid == flag.gid => {
                    Self::of(transaction(&row.gid)?, outcome, at)
                }
                _ => None,
            }
        })
    }

    /// Every parked branch of a transaction as the journal has it.
    pub fn all_of(stored: &Stored) -> impl Iterator<Item = Self> {
        let op = stored.decision().map(tercet_protocol::Decision::op);
        let parked = stored.outcomes.iter().filter(|_| !stored.status.is_finished());
        parked.filter_map(move |outcome| {
            let branch = stored.branches.iter().find(|branch| branch.id == outcome.branch)?;
            let (gid, instance) = (&stored.spec.gid, stored.spec.instance);
            Self::from_parts(gid, instance, branch, op?, outcome, None)
        })
    }

    fn from_parts(
        gid: &Gid,
        instance: Instance,
        branch: &BranchSpec,
        op: Op,
        outcome: &Outcome,
        parked_at: Option<Wall>,
    ) -> Option<Self> {
        (outcome.parked && outcome.acknowledged_at.is_none()).then(|| Self {
            gid: gid.clone(),
            instance,
            branch: outcome.branch.clone(),
            participant: branch.participant(),
            op,
            attempts: *outcome.attempts.get(op),
            last_error: outcome.last_error.as_deref().map(str::to_owned),
            parked_at,
        })
    }
}

/// A transaction that was set aside after a fault of ours, or whose rows make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SetAside {
    pub(super) gid: Gid,
    pub(super) why: String,
}
