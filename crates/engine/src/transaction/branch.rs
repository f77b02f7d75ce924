//! One branch of a transaction.

use std::sync::Arc;
use std::time::Duration;

use tercet_wire::{
    BranchId, BranchSpec, FailureKind, Mono, Now, Op, PerOp, ResolvedAs, TryBy, Wall,
};

use crate::dispatch::Destination;
use crate::record::{BranchRecord, Decision, LastAnswer, PendingResolution, TryAnswer};
use crate::transaction::Doubt;

/// Both clocks are read to the millisecond, which of the two that a wait lies between may be lost.
const TICK: Duration = Duration::from_millis(1);

/// One branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch {
    pub(super) spec: Arc<BranchSpec>,
    pub(super) state: BranchState,
    pub(super) call_state: CallState,
    pub(super) attempts: PerOp<u32>,
    /// Whether its history says that a leg of this step was called.
    pub(super) told_called: PerOp<bool>,
    pub(super) failure_stats: FailureStats,
    pub(super) parked: bool,
    /// What people were told of that in this life of the node: what a stop interrupts they hear of
    /// again only if it lasts.
    pub(super) told_parked: Option<Doubt>,
    pub(super) last_error: Option<Arc<str>>,
    pub(super) answer: Option<TryAnswer>,
    pub(super) last_answer: Option<Arc<LastAnswer>>,
    pub(super) resolved_as: Option<ResolvedAs>,
    /// Whether it ended without having been called: its saga was cancelled before its turn.
    pub(super) skipped: bool,
    /// What an operator made of it, while a call is under way that may still be answered.
    pub(super) word: Option<Word>,
    /// The call that was under way when an operator's word took effect: what it still says is
    /// compared with that.
    pub(super) overtaken: Option<(Op, u32)>,
    /// Whether that said otherwise.
    pub(super) contradicted: bool,
    /// Whether the call under way goes to where it was called before.
    pub(super) left_behind: bool,
    /// What the journal holds of this branch beyond its transaction's status.
    pub(super) row: Option<Box<BranchRecord>>,
}

/// An operator's word that has not taken effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Word {
    pub(super) said: Arc<PendingResolution>,
    /// When it does, whatever the call under way does.
    pub(super) takes_effect: Mono,
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
    /// It was not called yet and is not to be before this moment, whoever asks for it: its Confirm
    /// is put off.
    Held(Mono),
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
    /// Since when a call could have been made without the answer that is needed: since its turn
    /// came, or since the participant last said that it is at it.
    pub(super) since: Option<Mono>,
    /// Whether the last call that ended got no answer from the participant itself.
    pub(super) unreachable: bool,
}

impl BranchState {
    /// That of a branch of which nothing is known: one that has no Try has nothing to wait for.
    pub(super) fn before_its_try(spec: &BranchSpec) -> Self {
        match (spec.url(Op::Try), spec.try_by) {
            (None, TryBy::Coordinator) => Self::Tried,
            (Some(_), _) | (None, TryBy::Initiator) => Self::Registered,
        }
    }
}

impl Branch {
    pub(super) fn new(spec: Arc<BranchSpec>, now: Now) -> Self {
        let call_state = match spec.url(Op::Try) {
            Some(_) => CallState::Due(now.mono),
            None => CallState::Idle,
        };
        Self {
            state: BranchState::before_its_try(&spec),
            spec,
            call_state,
            attempts: PerOp::default(),
            told_called: PerOp::default(),
            failure_stats: FailureStats::default(),
            parked: false,
            told_parked: None,
            last_error: None,
            answer: None,
            last_answer: None,
            resolved_as: None,
            skipped: false,
            word: None,
            overtaken: None,
            contradicted: false,
            left_behind: false,
            row: None,
        }
    }

    /// Bytes of what its participant and an operator have said, and of what its participant had said
    /// when its row was written, unless that is the same text.
    #[inline]
    pub(super) fn words_bytes(&self) -> usize {
        // Asked after every step, and there are none on the happy path. What its row holds was said
        // of it too.
        if self.is_silent() { 0 } else { self.words_bytes_told() }
    }

    /// Whether neither its participant nor an operator has said anything that is kept.
    #[inline]
    pub(super) fn is_silent(&self) -> bool {
        self.last_error.is_none()
            & self.last_answer.is_none()
            & self.answer.is_none()
            & self.word.is_none()
    }

    #[cold]
    fn words_bytes_told(&self) -> usize {
        let error = self.last_error.as_ref().map_or(0, |error| error.len());
        let answer = self.answer.as_ref().map_or(0, |answer| answer.body.len());
        let last_answer = self.last_answer.as_ref().map_or(0, |answer| answer.body.len());
        let word = self
            .pending_resolution()
            .map_or(0, |said| said.by.len() + said.note.as_ref().map_or(0, |note| note.len()));
        let before = self.row.as_ref().and_then(|row| row.last_answer.as_ref());
        let before = before.filter(|before| {
            !self.last_answer.as_ref().is_some_and(|now| Arc::ptr_eq(now, before))
        });
        error + answer + last_answer + word + before.map_or(0, |before| before.body.len())
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

    /// The last answer to any of its calls that had a status and was neither a success nor 202.
    #[must_use]
    pub fn last_answer(&self) -> Option<&Arc<LastAnswer>> {
        self.last_answer.as_ref()
    }

    /// What an operator said of it, while that has not taken effect.
    #[must_use]
    pub fn pending_resolution(&self) -> Option<&Arc<PendingResolution>> {
        self.word.as_ref().map(|word| &word.said)
    }

    /// Whether a call was answered otherwise than it had been resolved meanwhile.
    #[must_use]
    pub fn is_contradicted(&self) -> bool {
        self.contradicted
    }

    /// Whether an operator's word took effect while this call was under way.
    pub(crate) fn is_overtaken(&self, op: Op, attempt: u32) -> bool {
        self.overtaken == Some((op, attempt))
    }

    /// Whether a call is under way that an operator's word has overtaken.
    #[must_use]
    pub fn has_overtaken_call(&self) -> bool {
        self.overtaken.is_some()
    }

    /// Since when it is without the answer it needs.
    pub(crate) fn waits_since(&self) -> Option<Mono> {
        self.failure_stats.since
    }

    /// Whether nothing says that its participant is there: its last call got no answer, or its
    /// first has none.
    pub(crate) fn is_unreachable(&self) -> bool {
        match self.call_state {
            CallState::InFlight { .. } => {
                self.failure_stats.unreachable || self.failure_stats.failures == 0
            }
            CallState::Idle
            | CallState::Due(_)
            | CallState::Held(_)
            | CallState::Waiting { .. } => self.failure_stats.unreachable,
        }
    }

    /// How an operator ended it, if one did.
    #[must_use]
    pub fn resolved_as(&self) -> Option<ResolvedAs> {
        self.resolved_as
    }

    /// Whether it ended without having been called.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        self.skipped
    }

    /// Whether it has acknowledged the decision, has been resolved by hand, or was skipped.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, BranchState::Done { .. })
    }

    /// Whether the coordinator waits for its Try.
    #[must_use]
    pub fn is_try_outstanding(&self) -> bool {
        self.state == BranchState::Registered && self.spec.url(Op::Try).is_some()
    }

    /// Whether its Try was refused, or given up in doubt. Of one that was tried nothing is kept.
    pub(crate) fn was_refused(&self) -> bool {
        match self.state {
            BranchState::Refused => true,
            BranchState::Done { .. } => self.answer.is_some(),
            BranchState::Registered | BranchState::Tried => false,
        }
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

    /// Whether nothing is to be done about it but to let time pass.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.call_state, CallState::Held(_))
    }

    /// The call that tells it of a decision, this long after that was taken; a Confirm that is put
    /// off is not made before its time.
    pub(super) fn first_call(&self, op: Op, decided: Duration, now: Mono) -> CallState {
        match (op, self.spec.confirm_after()) {
            // Once it was called, or is shown to people since it finds no room, there is nothing to
            // put off, whatever a clock says.
            (Op::Confirm, Some(delay))
                if delay > decided && self.attempts.confirm == 0 && !self.parked =>
            {
                CallState::Held(now.after(delay - decided).after(TICK))
            }
            (Op::Try | Op::Confirm | Op::Cancel, _) => CallState::Due(now),
        }
    }

    pub(super) fn failed(&mut self, failure: FailureKind, why: &str) {
        self.failure_stats.failures = self.failure_stats.failures.saturating_add(1);
        self.failure_stats.permanent_in_a_row = match failure {
            FailureKind::Transient => 0,
            FailureKind::Permanent | FailureKind::ReservationLost | FailureKind::NotAllowed => {
                self.failure_stats.permanent_in_a_row.saturating_add(1)
            }
        };
        self.last_error = Some(Arc::from(why));
    }

    /// When people are to be told that it is without the answer it needs; none where they were,
    /// or where nothing is needed of it.
    pub(super) fn parks_at(&self, park_after: Duration) -> Option<Mono> {
        let waits = self.told_parked.is_none() && !self.is_done();
        self.failure_stats.since.filter(|_| waits).map(|since| since.after(park_after))
    }
}
