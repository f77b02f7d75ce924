//! What must have happened in some seed: a promise that was never put to the test is not proven.
//! The list is written out, so that what is not reached is known by name.

use std::collections::BTreeMap;

use tercet_engine::BranchState;
use tercet_participant::{Action, Arrival, Contradiction, Recorded, State};
use tercet_wire::{FailureKind, Op, Status, Verdict};

/// Something that should happen in some seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// A request about a transaction that stands so.
    Asked(Option<Status>, Kind),
    /// An answer to a call of a branch that stands so, in its time or late.
    Answered(Place, Op, Meaning),
    /// A call that had no room, of a transaction that stands so.
    NotSent(Status),
    /// A timer that ran while a transaction stood so.
    Timer(Status),
    /// A crash while something was under way.
    CrashPoint(CrashPoint),
    /// A fault.
    Mishap(Mishap),
    /// What the guard's table said.
    Guard(Op, Recordedly, Doing),
    /// Something in particular.
    Sometimes(Sometimes),
    /// Something that several nodes on the same rows do to each other.
    Together(Together),
    /// What comes of asking initiators.
    Check(Check),
    /// What becomes of messages.
    Sent(Sent),
    /// What comes of pausing participants.
    Pausing(Pausing),
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($variant),+ }
    )+ };
}

words!(
    /// What is asked.
    Kind { Begin, Repeat, OtherContent, Register, Confirm, Cancel, Retry, Resolve, Read }
    /// Where a branch stands when its call is answered; late is an answer that was overtaken: by
    /// a timeout, the decision, or a restart.
    Place { Registered, Tried, Refused, Late }
    /// A verdict without its numbers.
    Meaning { Done, Refused, InProgress, Doubt, Wrong, Gone }
    /// What is recorded at the guard.
    Recordedly { Nothing, Tried, Confirmed, Cancelled }
    /// What the guard does.
    Doing { Run, Record, Repeat, Refuse }
);

macro_rules! listed {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? }) => {
        words!($(#[$doc])* $name { $($variant),+ });

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl From<$name> for Point {
            fn from(it: $name) -> Self {
                Self::$name(it)
            }
        }
    };
}

listed!(
    /// Faults.
    Mishap {
        CallLost, CallDoubled, CallLate, AnswerLost, RequestDoubled,
        CommitFailsBefore, CommitFailsAfter, CommitStalls, DiskFull, LoadFails, LoadLate,
        Rejected, RowsDamaged,
        Refusal, OddAnswer, WrongForEver, SlowBusiness, ServiceDown, Partition, ServiceCrash,
        NodeCrash, CrashAgain, NodeStops, Freeze, NodeCutOff, WallForward, WallBack, WallJumpAcrossRestart,
        InitiatorVanishes, ClientHangsUp,
    }
);

listed!(
    /// What a crash interrupts.
    CrashPoint {
        Idle, RecordsWait, Submitting, HappenedUntold, DurableUnheard, EffectsHeld, CallsUnderWay,
        AnswersWait, SomebodyWaits, InRecovery,
    }
);

listed!(
    /// Something in particular.
    Sometimes {
        Lingered, Resubmitted, SignOfLife, LaneBound, StoppedIdle, StoppedLate,
        ResubmittedAfterItHappened, OrphanHappened, OrphanFenced, GidTaken, Rejected, Bisected,
        Unreadable, Quarantined,
        AnswerAfterItsTime, AnswerOfAnOldLife, LateAcknowledgement, Timeout, ConnectionRefused,
        NoRoom, NoRoomInTheInbox, Queued, BeginLaneFull, AwaitedRoom, RoomTold,
        DeadConnection, SentAgain, FreshAttempt,
        BreakerOpened, BreakerClosed, Probe, Healed, ExpiredBehindABreaker,
        PagedOut, PageOfGids, TooManyPagedOut, ClockDoubted, NotSweptInDoubt, Resolved, Retracted,
        EmptyCancel, HangingTry, LateTry, CancelWhileTryRuns, InProgressAtTheGuard, OutOfStock,
        InitiatorTries, TriesOutstanding, TooManyTransactions, TooManyBranches, JournalUnavailable,
        NotAccepted, NotFound, AlreadyConfirmed, AlreadyCancelled, BeginRefused, HungUpWhileWaiting, GidReused, NotOpen, NotYet,
        DeadlineCancels, AttemptsUsedUp, Parked, Confirmed, Cancelled, StepSkipped, StepTooEarly, StepTold, StepParked,
        PutOff, RegisteredAtOnce, AmongOthers,
        ParkedByTheClock, Unparked, PauseCutShort, OpenPagedOut, DeadlineWhilePagedOut,
        ResolvedWhileCalled, WordGoesOn, Contradicted,
        ResultKept, ResultAnsweredOtherwise, ResultBrought, OwnResultBrought, ResultBroughtAgain,
        ResultBroughtByAnotherLife, ResultTooLarge, ResultsTooLarge,
        OutageTold, OutageReminded, OutageOver, OutageUntold,
        TookUpTrying, TookUpConfirming, TookUpCancelling,
    }
);

listed!(
    /// Something that several nodes on the same rows do to each other.
    Together {
        LookFails, Suspected, Marked,   FoundItMoved, FoundItMarked,
        Chunk, ChunkOfNothing, ChunkHappenedUntold, TookUndecided, TookConfirming, TookCancelling,
        TookFromWhoLeft, ArrivedLive, ArrivedPagedOut, ReadAgain, HistoryTold,
        DiesTakingOver, TakenOverInTurn, Left, RowRemoved, RowStays,
        FrozenAtACommit, StaleLook, LookedTooEarly, Fenced, FencedAfterItHappened, FencedWhileItStops, Rejoined,
        RefusedByFenced, CallByFenced, TwoBeganOneGid, WentBackToLoad,
        Elsewhere, AnsweredByTheOwner,
    }
);

listed!(
    /// What comes of asking an initiator at the deadline what became of its work.
    Check {
        Asked, AskedAgain, AskedAgainByAnotherLife, NoRoomToAsk,
        AnsweredCommitted, AnsweredNever, AnsweredNotYet, AnsweredUnknown, AnsweredAfterTheDecision,
        ConfirmedMeanwhile, CancelledMeanwhile, RegisteredMeanwhile, TryUnanswered,
        CommittedTooLate, CommittedAndDied, RolledBack,
        Shown, SignOfLife, PagedOut,
    }
);

listed!(
    /// What becomes of messages that are written with an initiator's work.
    Sent {
        Written, WrittenBefore, RolledBack, HandedOver, Followed, Confirmed, Cancelled,
        ClaimedAgain, GivenBack, AnswerLost, LostItsLease,
        RelayDies, RelayFreezes, DiedWithCalls, DiedBeforeTheMark,
    }
);

listed!(
    /// What comes of pausing participants.
    Pausing {
        Paused, Resumed, AtAStart, WhileCalled, Withdrawn, Refused, PagedOutMeanwhile,
    }
);

/// How often each was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    seen: BTreeMap<Point, u64>,
}

impl Coverage {
    pub(crate) fn saw(&mut self, point: Point) {
        *self.seen.entry(point).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (point, count) in &other.seen {
            *self.seen.entry(*point).or_default() += count;
        }
    }

    /// What is on the list and was not seen.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = list().into_iter().filter(|point| !self.seen.contains_key(point));
        missing.map(|point| format!("{point:?}")).collect()
    }

    /// Everything on the list, with its count.
    pub(crate) fn table(&self) -> Vec<(String, u64)> {
        let count = |point: &Point| self.seen.get(point).copied().unwrap_or_default();
        list().iter().map(|point| (format!("{point:?}"), count(point))).collect()
    }
}

impl Point {
    /// What the guard's table said.
    pub(crate) fn guard(recorded: Option<Recorded>, arrival: Arrival, action: Action) -> Self {
        let recorded = match recorded.map(|recorded| recorded.state) {
            None => Recordedly::Nothing,
            Some(State::Tried) => Recordedly::Tried,
            Some(State::Confirmed) => Recordedly::Confirmed,
            Some(State::Cancelled) => Recordedly::Cancelled,
        };
        let doing = match action {
            Action::Run => Doing::Run,
            Action::Record => Doing::Record,
            Action::Repeat => Doing::Repeat,
            Action::Refuse(Contradiction::LateTry) => return Sometimes::LateTry.into(),
            Action::Refuse(_) => Doing::Refuse,
        };
        Self::Guard(arrival.op, recorded, doing)
    }
}

impl From<&BranchState> for Place {
    fn from(state: &BranchState) -> Self {
        match state {
            BranchState::Registered => Self::Registered,
            BranchState::Tried => Self::Tried,
            BranchState::Refused => Self::Refused,
            // No call of a branch that is done is under way.
            BranchState::Done { .. } => Self::Late,
        }
    }
}

impl From<Verdict> for Meaning {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Done => Self::Done,
            Verdict::Refused => Self::Refused,
            Verdict::InProgress(_) => Self::InProgress,
            Verdict::Again { failure: FailureKind::Transient, .. } => Self::Doubt,
            Verdict::Again { failure: FailureKind::Permanent, .. } => Self::Wrong,
            Verdict::Again {
                failure: FailureKind::ReservationLost | FailureKind::NotAllowed,
                ..
            } => Self::Gone,
        }
    }
}

/// Everything that must be reached.
fn list() -> Vec<Point> {
    use Kind::{Begin, Cancel, Confirm, OtherContent, Read, Register, Repeat, Resolve, Retry};
    use Meaning::{Done, Doubt, Gone, InProgress, Refused, Wrong};

    let mut list = Vec::new();
    // A begin of what exists is a repeat, or wants something else under the same gid.
    list.extend(
        [Begin, Register, Confirm, Cancel, Retry, Resolve, Read]
            .map(|kind| Point::Asked(None, kind)),
    );
    for status in Status::ALL {
        let kinds = [Repeat, OtherContent, Register, Confirm, Cancel, Retry, Resolve, Read];
        list.extend(kinds.map(|kind| Point::Asked(Some(*status), kind)));
    }
    for status in [Status::Trying, Status::Confirming, Status::Cancelling] {
        list.extend([Point::NotSent(status), Point::Timer(status)]);
    }
    let answers: [(Op, &[Place], &[Meaning]); 4] = [
        (Op::Try, &[Place::Registered], &[Done, Refused, InProgress, Doubt]),
        (Op::Try, &[Place::Late], &[Done, Refused, InProgress, Doubt]),
        (Op::Confirm, &[Place::Tried, Place::Late], &[Done, InProgress, Doubt, Wrong, Gone]),
        // Gone is done for a Cancel.
        (
            Op::Cancel,
            &[Place::Registered, Place::Tried, Place::Refused, Place::Late],
            &[Done, InProgress, Doubt, Wrong],
        ),
    ];
    for (op, places, meanings) in answers {
        for place in places {
            list.extend(meanings.iter().map(|meaning| Point::Answered(*place, op, *meaning)));
        }
    }
    let guard = [
        (Op::Try, Recordedly::Nothing, Doing::Run),
        (Op::Try, Recordedly::Tried, Doing::Repeat),
        (Op::Try, Recordedly::Confirmed, Doing::Repeat),
        (Op::Try, Recordedly::Cancelled, Doing::Refuse),
        (Op::Confirm, Recordedly::Nothing, Doing::Run),
        (Op::Confirm, Recordedly::Tried, Doing::Run),
        (Op::Confirm, Recordedly::Confirmed, Doing::Repeat),
        (Op::Cancel, Recordedly::Nothing, Doing::Record),
        (Op::Cancel, Recordedly::Tried, Doing::Run),
        (Op::Cancel, Recordedly::Cancelled, Doing::Repeat),
    ];
    list.extend(guard.map(|(op, recorded, doing)| Point::Guard(op, recorded, doing)));
    list.extend(CrashPoint::ALL.iter().copied().map(Point::CrashPoint));
    list.extend(Mishap::ALL.iter().copied().map(Point::Mishap));
    list.extend(Sometimes::ALL.iter().copied().map(Point::Sometimes));
    list.extend(Together::ALL.iter().copied().map(Point::Together));
    list.extend(Check::ALL.iter().copied().map(Point::Check));
    list.extend(Sent::ALL.iter().copied().map(Point::Sent));
    list.extend(Pausing::ALL.iter().copied().map(Point::Pausing));
    list
}
