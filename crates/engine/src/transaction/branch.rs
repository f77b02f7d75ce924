//! One branch of a transaction.

use std::sync::Arc;

use tercet_wire::{
    BranchId, BranchSpec, Mono, Now, Op, PerOp, Resolution, ResolvedAs, Trouble, TryBy, Wall,
};

use crate::dispatch::Destination;
use crate::record::{Decision, Outcome, TryAnswer};

/// One branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch {
    pub(super) spec: Arc<BranchSpec>,
    pub(super) standing: Standing,
    pub(super) calling: Calling,
    pub(super) attempts: PerOp<u32>,
    pub(super) trouble: Troubles,
    pub(super) parked: bool,
    pub(super) last_error: Option<Arc<str>>,
    pub(super) answer: Option<TryAnswer>,
    pub(super) resolved_as: Option<ResolvedAs>,
    /// What an operator made of it, while a call is under way that may still be answered.
    pub(super) ruling: Option<Box<Resolution>>,
    /// What the journal holds of this branch beyond its transaction's status.
    pub(super) row: Option<Box<Outcome>>,
}

/// What is known of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Logged; nothing is known of its Try.
    Registered,
    /// Its Try was done, or it has none.
    Tried,
    /// Its Try was refused.
    Refused,
    /// It acknowledged the decision, has no leg for it, or was resolved by an operator.
    Done {
        /// When.
        at: Wall,
        /// When, for the timer that journals it alone; absent once it is journaled.
        unwritten_since: Option<Mono>,
    },
}

/// Whether it is being called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Calling {
    /// No.
    Idle,
    /// It is to be called from this moment on.
    Due(Mono),
    /// It is to be called as soon as there is room at its destination.
    Waiting {
        /// Since when.
        since: Mono,
        /// Where.
        at: Destination,
    },
    /// A call is under way.
    InFlight {
        /// Which.
        op: Op,
        /// Which attempt of it.
        attempt: u32,
    },
}

/// How the present leg has gone so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Troubles {
    /// Calls that failed; "in progress" is no failure.
    pub(super) failures: u32,
    /// The latest failures in a row that cannot become right by themselves.
    pub(super) wrong_in_a_row: u32,
    /// Whether the participant asked for the present pause.
    pub(super) pause_asked: bool,
    /// Times in a row that there was no room for a call.
    pub(super) no_room: u32,
    /// Since when, until a call is really made: who is offered and sent away again has not
    /// waited any less.
    pub(super) no_room_since: Option<Mono>,
    /// When the first answer came that was not the end of it.
    pub(super) since: Option<Mono>,
}

impl Branch {
    pub(super) fn new(spec: Arc<BranchSpec>, now: Now) -> Self {
        let (standing, calling) = match (spec.url(Op::Try), spec.try_by) {
            (Some(_), _) => (Standing::Registered, Calling::Due(now.mono)),
            (None, TryBy::Initiator) => (Standing::Registered, Calling::Idle),
            (None, TryBy::Coordinator) => (Standing::Tried, Calling::Idle),
        };
        Self {
            spec,
            standing,
            calling,
            attempts: PerOp::default(),
            trouble: Troubles::default(),
            parked: false,
            last_error: None,
            answer: None,
            resolved_as: None,
            ruling: None,
            row: None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &BranchId {
        &self.spec.id
    }

    /// What was asked for.
    #[must_use]
    pub fn spec(&self) -> &Arc<BranchSpec> {
        &self.spec
    }

    /// What is known of it.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether it is being called.
    #[must_use]
    pub fn calling(&self) -> &Calling {
        &self.calling
    }

    /// Calls made so far.
    #[must_use]
    pub fn attempts(&self) -> PerOp<u32> {
        self.attempts
    }

    /// Whether it is shown to people.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.parked
    }

    /// How its last call failed, if it did.
    pub(crate) fn last_error(&self) -> Option<&Arc<str>> {
        self.last_error.as_ref()
    }

    /// How an operator ended it, if one did.
    #[must_use]
    pub fn resolved_as(&self) -> Option<ResolvedAs> {
        self.resolved_as
    }

    /// Whether it has acknowledged the decision, or has been resolved by hand.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.standing, Standing::Done { .. })
    }

    /// Whether the coordinator waits for its Try.
    #[must_use]
    pub fn is_try_outstanding(&self) -> bool {
        self.standing == Standing::Registered && self.spec.url(Op::Try).is_some()
    }

    /// Whether its Try was answered in a way that the initiator can be shown.
    pub(crate) fn try_was_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// The call the branch needs, in this phase of its transaction, until it is answered.
    #[must_use]
    pub fn needs(&self, decision: Option<&Decision>) -> Option<Op> {
        match decision {
            None => self.is_try_outstanding().then_some(Op::Try),
            Some(decision) => (!self.is_done()).then(|| decision.op()),
        }
    }

    pub(super) fn failed(&mut self, trouble: Trouble, why: &str, now: Mono) {
        self.trouble.failures = self.trouble.failures.saturating_add(1);
        self.trouble.wrong_in_a_row = match trouble {
            Trouble::Doubt => 0,
            Trouble::Wrong | Trouble::Gone => self.trouble.wrong_in_a_row.saturating_add(1),
        };
        self.trouble.since.get_or_insert(now);
        self.last_error = Some(Arc::from(why));
    }
}
