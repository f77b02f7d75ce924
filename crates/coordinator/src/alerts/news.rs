//! What there is to tell: the single facts that an alert is made of.

use serde::Serialize;
use tercet_engine::Parked;
use tercet_wire::{BranchId, CallOp, Gid, Instance, LastAnswerView, TraceId, Wall};

use crate::telemetry::About;

/// A branch that is shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParkedBranch {
    /// Its transaction.
    pub gid: Gid,
    /// Which life of the gid.
    pub instance: Instance,
    /// Its id; none: it is no branch, but the initiator that is asked.
    pub branch: Option<BranchId>,
    /// `host:port` by which people know it.
    pub participant: String,
    /// The call that is not acknowledged.
    pub op: CallOp,
    /// How often it was made.
    pub attempts: u32,
    /// How the last one failed.
    pub last_error: Option<String>,
    /// The last answer that had a status and was neither a success nor 202.
    pub last_answer: Option<LastAnswerView>,
    /// When it was parked.
    pub parked_at: Wall,
    /// The trace of its transaction, which the log names.
    #[serde(skip)]
    pub trace_id: Option<TraceId>,
}

impl<'a> From<&'a ParkedBranch> for About<'a> {
    fn from(parked: &'a ParkedBranch) -> Self {
        Self { gid: &parked.gid, trace_id: parked.trace_id }
    }
}

impl ParkedBranch {
    /// A branch that has just been parked, durably.
    #[must_use]
    pub fn new(gid: Gid, parked: Parked) -> Self {
        let Parked { instance, branch, op, attempts, last_error, last_answer, at, asks, .. } =
            parked;
        Self {
            gid,
            instance,
            branch: (!asks).then(|| branch.id.clone()),
            participant: branch.participant(),
            op: if asks { CallOp::Check } else { op.into() },
            attempts,
            last_error: last_error.as_deref().map(str::to_owned),
            // What stands there names a leg, and an initiator has none.
            last_answer: last_answer.filter(|_| !asks).as_deref().map(LastAnswerView::from),
            parked_at: at,
            trace_id: None,
        }
    }
}

/// A participant that does not answer, or does again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutageReport {
    /// Its `host:port`.
    pub participant: String,
    /// Since when it does not, or did not, answer.
    pub since: Wall,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
    /// Branches that wait for it.
    pub waiting: usize,
    /// Those of them that are shown to people.
    pub parked: usize,
    /// How a call to it failed last.
    pub last_error: Option<String>,
    /// 0 when it is told first, then which reminder it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder: Option<u32>,
}

/// A transaction that was quarantined after a fault of ours, or whose rows make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Quarantined {
    pub(super) gid: Gid,
    pub(super) why: String,
}

/// What has happened to a node, or was seen by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NodeReport {
    /// Its name.
    pub(super) node: String,
    pub(super) why: String,
}
