//! What the engine has the journal write. Every record says what became true; the
//! journal turns many into a few statements, and `StoredTransaction::apply` into a value.

use std::sync::Arc;

use tercet_wire::{
    BranchId, BranchResult, BranchSpec, BranchStatus, CallOp, EventKind, Gid, Instance, Mono, Op,
    PerOp, Reason, ResolvedAs, Seq, Spec, Status, SteadyWall, Wall,
};

use crate::act::Acted;
use crate::job::Ticked;

/// One durable step of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Its place in the order of all records of this engine.
    pub seq: Seq,
    /// Whose it is.
    pub gid: Gid,
    /// Which life of the gid.
    pub instance: Instance,
    /// What became true.
    pub change: Change,
}

impl Record {
    /// An end keeps its date for as long as it should be remembered, whatever the clock says
    /// meanwhile.
    pub fn date_end(&mut self, steady: &SteadyWall, now: Mono) {
        self.change.date_end(steady, now);
    }
}

/// What became true.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// The transaction exists, with the branches it was begun with; status `trying`.
    Begun(Arc<Spec>),
    /// A branch was added while `trying`.
    Registered(Arc<BranchSpec>),
    /// Several were, all or none of them.
    RegisteredAtOnce(Vec<Arc<BranchSpec>>),
    /// Confirm or cancel: the one write that leaves `trying`. Guarded by status `trying`.
    Decided(Decided),
    /// What is known of one branch replaces what was known.
    BranchRecord(BranchRecord),
    /// Likewise, of one whose Try is done and what it was answered with is kept.
    Tried(Box<Tried>),
    /// Everyone has acknowledged. Guarded by the status the decision gave.
    Finished {
        /// `confirmed` or `cancelled`.
        status: Status,
        /// When the last acknowledgement arrived.
        at: Wall,
    },
    /// Whether any branch is shown to people.
    Parked(bool),
    /// A line of history.
    History(HistoryEvent),
    /// What an operator did, and what it changed.
    Acted(Box<Acted>),
    /// What a job did, and what that changed.
    Ticked(Box<Ticked>),
}

impl Change {
    /// What it changes, each by itself: of an act or a job what that changed, else itself.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        match self {
            Self::Acted(acted) => acted.changes.iter(),
            Self::Ticked(ticked) => ticked.changes.iter(),
            Self::Begun(_)
            | Self::Registered(_)
            | Self::RegisteredAtOnce(_)
            | Self::Decided(_)
            | Self::BranchRecord(_)
            | Self::Tried(_)
            | Self::Finished { .. }
            | Self::Parked(_)
            | Self::History(_) => std::slice::from_ref(self).iter(),
        }
    }

    fn date_end(&mut self, steady: &SteadyWall, now: Mono) {
        match self {
            Self::Finished { at, .. } => *at = steady.ended(*at, now),
            Self::Acted(acted) => {
                acted.changes.iter_mut().for_each(|change| change.date_end(steady, now));
            }
            Self::Ticked(ticked) => {
                ticked.changes.iter_mut().for_each(|change| change.date_end(steady, now));
            }
            Self::Begun(_)
            | Self::Registered(_)
            | Self::RegisteredAtOnce(_)
            | Self::Decided(_)
            | Self::BranchRecord(_)
            | Self::Tried(_)
            | Self::Parked(_)
            | Self::History(_) => {}
        }
    }
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decided {
    /// When it was taken.
    pub at: Wall,
    /// Which it is.
    pub decision: Decision,
}

/// Confirm or cancel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Every branch is told to take what it reserved.
    Confirm,
    /// Every branch is told to release what it reserved.
    Cancel {
        /// Why.
        reason: Reason,
        /// The caller's own words, if any.
        detail: Option<Arc<str>>,
    },
}

impl Decision {
    /// The call that tells a branch.
    #[must_use]
    pub fn op(&self) -> Op {
        match self {
            Self::Confirm => Op::Confirm,
            Self::Cancel { .. } => Op::Cancel,
        }
    }

    /// The status until everyone has acknowledged.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Confirm => Status::Confirming,
            Self::Cancel { .. } => Status::Cancelling,
        }
    }

    /// The status once everyone has acknowledged.
    #[must_use]
    pub fn finished_status(&self) -> Status {
        match self {
            Self::Confirm => Status::Confirmed,
            Self::Cancel { .. } => Status::Cancelled,
        }
    }
}

/// What is known of a branch beyond what its transaction's status says. A branch
/// of which all is as expected has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BranchRecord {
    /// Which branch.
    pub branch: BranchId,
    /// Where it stands.
    pub status: BranchStatus,
    /// Calls made so far.
    pub attempts: PerOp<u32>,
    /// Whether it is shown to people.
    pub parked: bool,
    /// How the last call failed, if it did.
    pub last_error: Option<Arc<str>>,
    /// The last answer of a Try that was refused or failed.
    pub answer: Option<TryAnswer>,
    /// The last answer to any of its calls that had a status and was neither a success nor 202.
    pub last_answer: Option<Arc<LastAnswer>>,
    /// How an operator ended it, if one did.
    pub resolved_as: Option<ResolvedAs>,
    /// How an operator will have ended it, while a call is under way.
    pub pending_resolution: Option<Arc<PendingResolution>>,
    /// Whether a call was answered otherwise than it had been resolved meanwhile.
    pub contradicted: bool,
    /// When it acknowledged the decision; absent where that is the transaction's own finish.
    pub acknowledged_at: Option<Wall>,
}

/// A branch whose Try is done, with what it was answered with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tried {
    /// What is known of the branch.
    pub record: BranchRecord,
    /// What its Try was answered with.
    pub result: BranchResult,
}

/// The last answer of a Try that was refused or failed, for the initiator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TryAnswer {
    /// The HTTP status; absent if none arrived.
    pub status: Option<u16>,
    /// The body, at most 1 KiB of it; or, if no answer arrived, why not.
    pub body: Arc<str>,
}

/// The last answer to any call of a branch that had a status and was neither a success nor 202.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LastAnswer {
    /// To which call.
    pub op: Op,
    /// The HTTP status.
    pub status: u16,
    /// The body, at most 1 KiB of it.
    pub body: Arc<str>,
    /// When it came.
    pub at: Wall,
}

/// An operator's word about a branch that has not taken effect yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PendingResolution {
    /// What the branch will count as.
    pub as_: ResolvedAs,
    /// Who said so.
    pub by: Arc<str>,
    /// Why, in the operator's words.
    pub note: Option<Arc<str>>,
    /// When it was said.
    pub at: Wall,
}

/// A line of history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HistoryEvent {
    /// Its place within the transaction's history, from 1.
    pub number: u32,
    /// When.
    pub at: Wall,
    /// What.
    pub kind: EventKind,
    /// Which branch, if one.
    pub branch: Option<BranchId>,
    /// Which call, if one.
    pub op: Option<CallOp>,
    /// Which attempt of it.
    pub attempt: Option<u32>,
    /// In words.
    pub detail: Option<Arc<str>>,
}
