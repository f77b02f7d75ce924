//! One branch of a transaction.

use std::sync::Arc;

use tercet_wire::{
    BranchId, BranchSpec, FailureKind, Mono, Now, Op, PerOp, Resolution, ResolvedAs, TryBy, Wall,
};

use crate::dispatch::Destination;
use crate::record::{BranchRecord, Decision, TryAnswer};

/// One branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch {
    pub(super) spec: Arc<BranchSpec>,
    pub(super) state: BranchState,
    pub(super) call_state: CallState,
    pub(super) attempts: PerOp<u32>,
    pub(super) failure_stats: FailureStats,
    pub(super) parked: bool,
    pub(super) last_error: Option<Arc<str>>,
    pub(super) answer: Option<TryAnswer>,
    pub(super) resolved_as: Option<ResolvedAs>,
    /// What an operator made of it, while a call is under way that may still be answered.
    pub(super) pending_resolution: Option<Box<Resolution>>,
    /// What the journal holds of this branch beyond its transaction's status.
    pub(super) row: Option<Box<BranchRecord>>,
}

/// What is known of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BranchState {
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
pub enum CallState {
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
pub(super) struct FailureStats {
    /// Calls that failed; "in progress" is no failure.
    pub(super) failures: u32,
    /// The latest failures in a row that cannot become right by themselves.
    pub(super) permanent_in_a_row: u32,
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
        let (state, call_state) = match (spec.url(Op::Try), spec.try_by) {
            (Some(_), _) => (BranchState::Registered, CallState::Due(now.mono)),
            (None, TryBy::Initiator) => (BranchState::Registered, CallState::Idle),
            (None, TryBy::Coordinator) => (BranchState::Tried, CallState::Idle),
        };
        Self {
            spec,
            state,
            call_state,
            attempts: PerOp::default(),
            failure_stats: FailureStats::default(),
            parked: false,
            last_error: None,
            answer: None,
            resolved_as: None,
            pending_resolution: None,
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
    pub fn state(&self) -> &BranchState {
        &self.state
    }

    /// Whether it is being called.
    #[must_use]
    pub fn call_state(&self) -> &CallState {
        &self.call_state
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
        matches!(self.state, BranchState::Done { .. })
    }

    /// Whether the coordinator waits for its Try.
    #[must_use]
    pub fn is_try_outstanding(&self) -> bool {
        self.state == BranchState::Registered && self.spec.url(Op::Try).is_some()
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

    pub(super) fn failed(&mut self, failure: FailureKind, why: &str, now: Mono) {
        self.failure_stats.failures = self.failure_stats.failures.saturating_add(1);
        self.failure_stats.permanent_in_a_row = match failure {
            FailureKind::Transient => 0,
            FailureKind::Permanent | FailureKind::ReservationLost => {
                self.failure_stats.permanent_in_a_row.saturating_add(1)
            }
        };
        self.failure_stats.since.get_or_insert(now);
        self.last_error = Some(Arc::from(why));
    }
}
