//! What comes into the engine: requests, participants' answers, the journal's
//! answers, and the passing of time. All by one door, so there is one order of events.

use std::collections::BTreeSet;
use std::sync::Arc;

use tercet_wire::{
    Answer, BranchId, BranchSpec, CallOp, Epoch, Gid, Incarnation, Instance, JobAct, Mono, Op,
    Operator, Readdressing, Resolution, Seq, Spec,
};

use crate::dispatch::{CapacityFreed, Destination};
use crate::stored::StoredTransaction;

/// Whom a reply goes to: the shell's own number for a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// Somebody asks something of one transaction.
    Request(Request),
    /// A call was answered, or gave up.
    Answered(Ticket, Answer),
    /// There was no room for a call, at this destination or, where none is named, in the
    /// node: it was never made.
    NotSent(Ticket, Option<Destination>),
    /// A destination has room that was waited for, or answers again.
    CapacityFreed(CapacityFreed),
    /// The journal's answer to `Effect::Load`.
    Loaded(Gid, Load),
    /// The journal's answer to `Output::sweep`: decided and unfinished transactions of this
    /// node, by gid. None: there are no more after the one that was named.
    PageOfGids(Vec<Gid>),
    /// An unfinished transaction found at start-up, before anything else could be known of it.
    Adopt(Box<StoredTransaction>),
    /// These transactions of a dead life may be this one's from now on: a chunk with them is
    /// submitted. By gid.
    TakingOver {
        /// The life that drove them.
        dead: Incarnation,
        /// Which they are.
        gids: Vec<Gid>,
    },
    /// What became of the chunk that was announced first: these of it are this life's, durably.
    TakenOver(Vec<Gid>),
    /// Everything up to here is durable.
    Durable(Seq),
    /// The gid of a new transaction turned out to be taken in the journal: its
    /// records were not written.
    Exists(Gid),
    /// The journal could not write this transaction's records, and only these: it is
    /// quarantined so that the others go on.
    Quarantined(Gid),
    /// Who asked this about this transaction has hung up, and waits for nothing any more.
    HungUp(Gid, ReplyTo),
    /// The node stops: nobody waits beyond this moment any more.
    NobodyWaitsBeyond(Mono),
    /// These participants, by `host:port`, are not called from now on, and no others.
    Paused(BTreeSet<String>),
    /// What was held since the database was restored goes on.
    Release,
    /// Nothing but time has passed.
    Tick,
}

/// What the journal knows of a gid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Load {
    /// Nothing.
    Nothing,
    /// Its rows: this incarnation's, or finished, or nobody's.
    Found(Box<StoredTransaction>),
    /// It is unfinished, and this other incarnation drives it.
    Elsewhere(Incarnation),
    /// It could not be read; ask again later.
    Failed,
    /// There is something, and it makes no sense: damaged, or of a newer program.
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

impl Load {
    /// Rows as this incarnation is to take them.
    #[must_use]
    pub fn of(stored: StoredTransaction, own: Incarnation) -> Self {
        match stored.owner {
            Some(owner) if owner != own => Self::Elsewhere(owner),
            Some(_) | None => Self::Found(Box::new(stored)),
        }
    }
}

/// Somebody asks something of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// Whom to answer.
    pub reply_to: ReplyTo,
    /// Which transaction.
    pub gid: Gid,
    /// What is asked.
    pub ask: Ask,
    /// How long to wait for what.
    pub wait: Wait,
}

impl Ticket {
    /// What the call asks for, as people and participants read it.
    #[must_use]
    pub fn call_op(&self) -> CallOp {
        if self.asks { CallOp::Check } else { self.op.into() }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Begin a transaction.
    Begin {
        /// What was asked for.
        spec: Arc<Spec>,
        /// The gid was made here just now, so the journal cannot know it.
        fresh: bool,
    },
    /// Register a branch. Its position is given by the engine, whatever it says.
    Register(Box<BranchSpec>),
    /// Register several, all or none of them.
    RegisterAtOnce(Vec<BranchSpec>),
    /// Decide to confirm.
    Confirm,
    /// Decide to cancel.
    Cancel {
        /// The caller's own words.
        detail: Option<Arc<str>>,
        /// Where nobody knows the gid: what is recorded as cancelled, so that no begin that
        /// comes later runs.
        if_unknown: Option<Arc<Spec>>,
    },
    /// Decide although it is held: an operator has looked.
    DecideHeld(Box<HeldDecision>),
    /// Call at once what is waiting.
    Retry {
        /// Who asks, for history and audit.
        by: Operator,
    },
    /// End a branch by hand.
    Resolve(Box<Resolution>),
    /// Do what a job does, unless it was done.
    OfJob(Box<JobAct>),
    /// Have a branch called elsewhere.
    Readdress(Box<Readdressing>),
    /// Show it.
    Read,
}

/// What an operator decides of a transaction that may be held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeldDecision {
    /// Confirm or cancel.
    pub op: Op,
    /// Why, in the operator's words.
    pub note: Option<Arc<str>>,
    /// Who decides it, for the audit.
    pub by: Operator,
}

/// How long a request waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wait {
    /// What it waits for.
    pub until: Until,
    /// When it stops waiting and is told how things stand.
    pub give_up: Mono,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Until {
    /// That it is logged.
    Accepted,
    /// That a registered branch's Try was answered.
    Tried,
    /// That the decision is durable.
    Decided,
    /// That everyone has acknowledged.
    Finished,
}

/// Which call an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// The engine's life that made the call.
    pub epoch: Epoch,
    /// The transaction.
    pub gid: Gid,
    /// Which life of the gid.
    pub instance: Instance,
    /// The branch.
    pub branch: BranchId,
    /// The call.
    pub op: Op,
    /// Which attempt.
    pub attempt: u32,
    /// Whether no branch is called, but the initiator asked: branch and call stand for it.
    pub asks: bool,
}
