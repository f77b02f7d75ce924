//! One transaction: its state, and the rules that move it.
//!
//! ```text
//!            all Tries done (or confirm asked)          every branch acknowledged
//!  Trying ───────────────────────────────▶ SecondPhase(Confirm) ──────────▶ Finished
//!    │  a Try refused · cancel asked · deadline
//!    └──────────────────────────────────▶ SecondPhase(Cancel) ───────────▶ Finished
//! ```
//!
//! `requests`, `operator`, `answers` and time change what is known; `advance` alone says what follows from
//! it: the decision, the calls, the end. After a crash the rows give what is known, and
//! `advance` goes on: recovery has no rules of its own (P5).

mod advance;
mod answers;
mod asking;
mod backpressure;
mod branch;
mod branch_rows;
mod history;
mod hold;
mod jobs;
mod operator;
mod paging;
mod parking;
mod pattern;
mod pauses;
mod readdress;
mod requests;
mod restore;
mod results;
mod step;
mod view;

use std::sync::Arc;

pub(crate) use advance::not_before;
pub use branch::{Branch, BranchState, CallState};
use history::History;
pub use history::history_bound;
pub(crate) use paging::{BranchBackoff, Waiting, Wake, WakesTo};
pub(crate) use parking::Doubt;
pub use pauses::{Paused, PausedNames};
pub(crate) use requests::{Registered, already};
pub(crate) use restore::Resume;
use results::Results;
pub use step::Rules;
pub(crate) use step::{ParkedNow, Step, Wanted};
use tercet_wire::{
    ActId, BranchId, Gid, Incarnation, Instance, Mono, Now, Order, Spec, Status, Wall,
};

use crate::record::{Decided, Decision};

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transaction {
    spec: Arc<Spec>,
    phase: Phase,
    branches: Vec<Branch>,
    /// Its initiator, while it is asked what became of it.
    initiator: Option<Box<Branch>>,
    /// In which order the branches are called; none where all are at once.
    order: Option<Arc<Order>>,
    /// Who alone may be tried, where its deadline has passed by a clock that is in doubt: those whose
    /// turn it was then. No new step is begun.
    last_round: Option<Arc<Vec<bool>>>,
    history: History,
    results: Results,
    /// Whether the journal says that a branch is shown to people.
    parked_row: bool,
    /// The life that drove it before, until its history says so.
    taken_over_from: Option<Box<Incarnation>>,
    /// The jobs that have come to it, by id.
    jobs: Vec<ActId>,
    /// Whether it was trying when the database was restored from a backup, and was not released yet.
    held: bool,
}

/// How far a transaction is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing is decided.
    Trying {
        /// When it is cancelled for want of a decision.
        deadline: Mono,
    },
    /// The decision is taken and being told.
    SecondPhase(Decided),
    /// Everyone has acknowledged.
    Finished {
        /// The decision.
        decided: Decided,
        /// When the last acknowledgement came.
        at: Wall,
    },
}

impl Transaction {
    /// A transaction that has just been asked for.
    #[must_use]
    pub fn begin(spec: Arc<Spec>, now: Now) -> Self {
        let deadline = now.mono_at(spec.deadline_at);
        let branches = spec.branches.iter().map(|spec| Branch::new(Arc::clone(spec), now));
        let branches: Vec<Branch> = branches.collect();
        Self {
            order: pattern::order(spec.pattern, &branches),
            last_round: None,
            initiator: None,
            branches,
            phase: Phase::Trying { deadline },
            history: History::default(),
            results: Results::default(),
            parked_row: false,
            taken_over_from: None,
            jobs: Vec::new(),
            held: false,
            spec,
        }
    }

    /// Its id.
    #[must_use]
    pub fn gid(&self) -> &Gid {
        &self.spec.gid
    }

    /// Which life of the gid.
    #[must_use]
    pub fn instance(&self) -> Instance {
        self.spec.instance
    }

    /// What was asked for at begin.
    #[must_use]
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Its branches, by position.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// The branch of this id.
    #[must_use]
    pub fn branch(&self, id: &BranchId) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.id() == id)
    }

    /// Whether its branches are called in an order.
    pub(crate) fn has_order(&self) -> bool {
        self.order.is_some()
    }

    /// Whether a branch may be called now, as far as the others go.
    #[must_use]
    pub fn is_in_turn(&self, id: &BranchId) -> bool {
        self.position(id).is_some_and(|position| self.turn().includes(position))
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.phase {
            Phase::Trying { .. } => Status::Trying,
            Phase::SecondPhase(decided) => decided.decision.status(),
            Phase::Finished { decided, .. } => decided.decision.finished_status(),
        }
    }

    /// The decision, once taken.
    #[must_use]
    pub fn decided(&self) -> Option<&Decided> {
        match &self.phase {
            Phase::Trying { .. } => None,
            Phase::SecondPhase(decided) | Phase::Finished { decided, .. } => Some(decided),
        }
    }

    /// The decision, once taken.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.decided().map(|decided| &decided.decision)
    }

    /// When everyone had acknowledged.
    #[must_use]
    pub fn finished_at(&self) -> Option<Wall> {
        match &self.phase {
            Phase::Trying { .. } | Phase::SecondPhase(_) => None,
            Phase::Finished { at, .. } => Some(*at),
        }
    }

    /// Whether a branch was resolved by hand as the opposite of what was decided, or its participant
    /// said otherwise afterwards.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        let decided = self.decision().map(Decision::op);
        self.branches.iter().any(|branch| {
            let resolved_as = branch.resolved_as();
            branch.is_contradicted() || resolved_as.is_some_and(|as_| decided != Some(as_.op()))
        })
    }

    /// Another life drove it until now: its history is to say so.
    pub(crate) fn was_taken_over(&mut self, dead: Incarnation) {
        self.taken_over_from = Some(Box::new(dead));
    }

    /// When it is cancelled for want of a decision, while nothing is decided.
    fn deadline(&self) -> Option<Mono> {
        match &self.phase {
            Phase::Trying { deadline } => Some(*deadline),
            Phase::SecondPhase(_) | Phase::Finished { .. } => None,
        }
    }

    /// Whether a branch is shown to people, or that its initiator does not say what became of it.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.branches.iter().any(Branch::is_parked)
            || self.initiator().is_some_and(Branch::is_parked)
    }

    /// Everybody who is called: its branches, and its initiator while it is asked.
    pub(crate) fn callees(&self) -> impl Iterator<Item = &Branch> {
        self.branches.iter().chain(self.initiator.as_deref())
    }

    fn callees_mut(&mut self) -> impl Iterator<Item = &mut Branch> {
        self.branches.iter_mut().chain(self.initiator.as_deref_mut())
    }

    /// Whom a call of this kind goes to: the branch of this id, or the initiator.
    pub(crate) fn callee(&self, id: &BranchId, asks: bool) -> Option<&Branch> {
        if asks { self.initiator() } else { self.branch(id) }
    }
}

/// The branch at a position that was found in its transaction. Branches are only ever added, so
/// it is there; were it not, that would be a fault of ours, and the transaction be quarantined:
/// the rules run where a panic is caught (`Engine::change`).
fn branch_at(branches: &mut [Branch], position: usize) -> &mut Branch {
    branches.get_mut(position).expect("a branch keeps its position")
}
