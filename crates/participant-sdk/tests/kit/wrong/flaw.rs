//! The flaws, each as a change of what a right participant does.

use tercet_participant::{Action, Context, Instance, Op, Recorded, State};

/// What is wrong with a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    TryDoesNothing,
    ConfirmDoesNothing,
    LeavesReservation,
    LosesMoney,
    ReservesTwice,
    ConfirmsTwice,
    ReleasesTwice,
    RunsEmptyCancels,
    RefusesEmptyCancels,
    ForgetsEmptyCancels,
    AcceptsHangingTries,
    ForgetsConfirmed,
    ConfirmsUntried,
    ConfirmsCancelled,
    CancelsConfirmed,
    FailsOnRepeats,
    ReservesWhatItRefuses,
    TrustsAttempts,
    RejectsUnknownHeaders,
    DefaultsMissingHeaders,
    KeyedByGidAlone,
    GidByPrefix,
    GidInAnyCase,
    JoinsItsKeys,
    IgnoresInstances,
    RecordsAfterwards,
    ChecksThenActs,
    LosesUpdates,
}

impl Flaw {
    /// Under what a branch is noted.
    pub(super) fn key(self, context: &Context) -> String {
        let Context { gid, branch, .. } = context;
        match self {
            Self::KeyedByGidAlone => gid.to_string(),
            // As `LIKE 'gid%'` or a cut-off column would.
            Self::GidByPrefix => {
                let (gid, _) = gid.as_str().split_once('.').unwrap_or((gid.as_str(), ""));
                format!("{gid}/{branch}")
            }
            Self::GidInAnyCase => format!("{gid}/{branch}").to_lowercase(),
            Self::JoinsItsKeys => format!("{gid}{branch}").replace([':', '-'], ""),
            _ => format!("{gid}/{branch}"),
        }
    }

    /// Which instance is believed to speak.
    pub(super) fn instance(self, context: &Context, found: Option<Recorded>) -> Instance {
        match (self, found) {
            (Self::IgnoresInstances, Some(found)) => found.instance,
            _ => context.instance,
        }
    }

    /// What is done instead of what should be.
    pub(super) fn twist(self, op: Op, state: Option<State>, right: Action) -> Action {
        use State::{Cancelled, Confirmed, Tried};
        match (self, op, state) {
            (Self::ReservesTwice, Op::Try, Some(Tried))
            | (Self::ConfirmsTwice, Op::Confirm, Some(Confirmed))
            | (Self::ReleasesTwice, Op::Cancel, Some(Cancelled))
            | (Self::RunsEmptyCancels, Op::Cancel, None)
            | (Self::AcceptsHangingTries, Op::Try, Some(Cancelled))
            | (Self::ConfirmsUntried, Op::Confirm, None)
            | (Self::ConfirmsCancelled, Op::Confirm, Some(Cancelled)) => Action::Run,
            (Self::CancelsConfirmed, Op::Cancel, Some(Confirmed)) => Action::Repeat,
            (Self::RefusesEmptyCancels, Op::Cancel, None) => {
                Action::Refuse(tercet_participant::Contradiction::CancelAfterConfirm)
            }
            _ => right,
        }
    }

    /// What a call adds to what is frozen and to the balance.
    pub(super) fn effect(self, op: Op) -> (i64, i64) {
        match (self, op) {
            (Self::TryDoesNothing, Op::Try) | (Self::ConfirmDoesNothing, Op::Confirm) => (0, 0),
            (Self::LosesMoney, Op::Try) => (1, -3),
            (Self::LosesMoney, Op::Cancel) => (-1, 3),
            (Self::LeavesReservation, Op::Cancel) => (0, 0),
            (_, Op::Try) => (1, -1),
            (_, Op::Confirm) => (-1, 0),
            (_, Op::Cancel) => (-1, 1),
        }
    }
}
