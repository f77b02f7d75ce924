//! What goes out of the engine: records to be made durable, and effects that wait for them.

use std::sync::Arc;

use tercet_wire::{
    BranchId, BranchResult, BranchSpec, Gid, Incarnation, Instance, Mono, Now, Op, ProblemCode,
    ResolvedAs, Seq, Spec, Unfit, Wall,
};

use crate::dispatch::Destination;
use crate::engine::input::{ReplyTo, Ticket};
use crate::record::{LastAnswer, Record};
use crate::transaction::{PausedNames, Transaction};

/// What handling one input led to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Output {
    /// To be made durable, in this order.
    pub records: Vec<Record>,
    /// To be let out, each once what it waits for is durable.
    pub effects: Vec<DeferredEffect>,
    /// Destinations whose room is waited for: to be told once, when there is some.
    pub notify_when_free: Vec<Destination>,
    /// Calls that need not be made if they still wait for their turn: an operator has ended
    /// their branch. They come back as not sent; those under way are answered as ever.
    pub retract: Vec<Ticket>,
    /// The journal is asked for a page of the transactions that are paged out.
    pub sweep: Option<PageRequest>,
}

/// Which transactions the journal is asked for: decided, unfinished, this node's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// Those after this gid; from the first where it is none.
    pub after: Option<Gid>,
}

/// An effect and what must be durable before it is let out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeferredEffect {
    /// The last record that the effect depends on.
    pub after: Seq,
    /// Whose effect it is.
    pub gid: Gid,
    /// What is to happen.
    pub effect: Effect,
}

impl DeferredEffect {
    /// Whether it is a call.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.effect, Effect::Call(_))
    }
}

/// Something that others will notice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Answer a request.
    Reply(ReplyTo, Reply, IfTaken),
    /// Call a participant.
    Call(Call),
    /// Ask the journal about a gid.
    Load,
    /// Tell people that a branch is parked.
    Parked(Parked),
    /// Tell the operator that this transaction was quarantined.
    Alarm {
        /// What went wrong.
        why: String,
    },
}

/// What becomes of a request, should it turn out before its answer leaves that another transaction has
/// the gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IfTaken {
    /// It is a begin, asked again.
    Begins,
    /// It is a read, asked again.
    Reads,
    /// Nothing was done for it, and it may be asked again.
    IsUnknown,
}

/// A branch that does not get on by itself, as it was when it was parked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parked {
    /// Which life of its gid.
    pub instance: Instance,
    /// The branch.
    pub branch: Arc<BranchSpec>,
    /// The call that is not acknowledged.
    pub op: Op,
    /// Whether it is no branch, but the initiator that is asked.
    pub asks: bool,
    /// How often it was made.
    pub attempts: u32,
    /// How the last one failed, if one did.
    pub last_error: Option<Arc<str>>,
    /// The last answer that had a status and was neither a success nor 202.
    pub last_answer: Option<Arc<LastAnswer>>,
    /// Whether nothing says that its participant is there: the last call got no answer from it.
    pub unreachable: bool,
    /// Whether what its participant answers says that calling it again is of no use.
    pub hopeless: bool,
    /// Since when it could have been called.
    pub since: Wall,
    /// The same by the clock that it was parked by.
    pub since_mono: Mono,
    /// When it was parked.
    pub at: Wall,
}

/// A call to a participant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// Comes back with the answer.
    pub ticket: Ticket,
    /// The branch: URL, payload, headers, timeout.
    pub branch: Arc<BranchSpec>,
    /// The transaction: trace context.
    pub spec: Arc<Spec>,
    /// On a Try: when it will be given up.
    pub deadline_at: Option<Wall>,
    /// What it has to do with results; nearly always nothing.
    pub results: Option<Box<CallResults>>,
}

/// What a call has to do with results.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallResults {
    /// Those that it brings, in the order of their branches, where its branch asks for them.
    pub brought: Option<Vec<(BranchId, BranchResult)>>,
    /// Whether what it is answered with is kept.
    pub kept: bool,
}

impl Call {
    /// The results that it brings, where its branch asks for them.
    #[must_use]
    pub fn brought(&self) -> Option<&[(BranchId, BranchResult)]> {
        self.results.as_ref()?.brought.as_deref()
    }

    /// Whether what it is answered with is kept, so that the body is part of the answer.
    #[must_use]
    pub fn keeps_result(&self) -> bool {
        self.results.as_ref().is_some_and(|results| results.kept)
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The transaction as it stands.
    Transaction {
        /// Whether what was waited for has come.
        told: ReplyKind,
        /// The transaction.
        snapshot: Snapshot,
    },
    /// A registered branch as it stands.
    Branch {
        /// Whether what was waited for has come.
        told: ReplyKind,
        /// Its transaction.
        snapshot: Snapshot,
        /// Which branch.
        branch: BranchId,
    },
    /// Branches that were registered at once, as they stand.
    Branches {
        /// Whether what was waited for has come for all of them.
        told: ReplyKind,
        /// Their transaction.
        snapshot: Snapshot,
        /// Which branches, as they were asked for.
        branches: Vec<BranchId>,
    },
    /// No.
    Refused(Refusal),
}

/// Whether what was waited for has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// It has, and the request created something (201).
    Created,
    /// It has (200).
    Reached,
    /// Not yet; it goes on (202).
    NotYet,
}

/// A transaction at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// The transaction.
    pub transaction: Transaction,
    /// The moment.
    pub at: Now,
    /// Who was not called then.
    pub paused: PausedNames,
}

/// Why a request is not met. The API turns each into a problem.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no such transaction.
    NotFound,
    /// The gid is taken by other content.
    GidReused,
    /// The branch id is taken by other content.
    BranchReused(BranchId),
    /// The branch was registered with the same content, but alone or among others.
    BranchAmongOthers(BranchId),
    /// It is for one of several branches that were to be registered at once.
    OfSeveral {
        /// Its place among them, from 0.
        place: usize,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// Confirm was decided.
    AlreadyConfirmed,
    /// Cancel was decided.
    AlreadyCancelled,
    /// The transaction decides for itself.
    NotOpen,
    /// Nothing is decided, so there is nothing a branch could be resolved as.
    NotDecided,
    /// The branch has ended already: by its acknowledgement, or by an earlier word.
    AlreadyFinished(BranchId),
    /// An earlier word about the branch is waiting to take effect, says otherwise, and stands.
    ResolvedOtherwise(BranchId, ResolvedAs),
    /// The transaction has no such branch.
    BranchNotFound(BranchId),
    /// The database was restored from a backup, and this was trying in it: it waits for people.
    Held,
    /// Its time is over, and it is for its initiator to say what became of it.
    AsksItsInitiator,
    /// It has ended, or is another life of the gid, so that nobody writes that a job has come to it;
    /// and why the job could not do what it does, if it could not.
    NothingToDo(Option<ProblemCode>),
    /// These branches' Tries are not answered.
    TriesOutstanding(Vec<BranchId>),
    /// The branch has a field that this transaction has no use for.
    Unfit(Unfit),
    /// The transaction has as many branches as it may.
    TooManyBranches {
        /// The limit.
        limit: usize,
    },
    /// There are as many live transactions as there may be.
    TooManyTransactions {
        /// The limit.
        limit: usize,
    },
    /// The live transactions take as many bytes as they may.
    TooManyBytes {
        /// The limit.
        limit: usize,
    },
    /// As many transactions as may be are paged out to the journal.
    TooManyPagedOut {
        /// The limit.
        limit: usize,
    },
    /// Another incarnation drives the transaction, and it alone can answer.
    Elsewhere(Incarnation),
    /// The journal has not made the answer durable in time: the outcome is unknown.
    JournalUnavailable,
    /// Refused before anything was written.
    NotAccepted,
    /// This transaction is quarantined: its rules failed, or its rows cannot be written or
    /// understood.
    Quarantined,
}
