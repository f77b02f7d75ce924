//! The guard's rule: what a call does, given what is recorded of its branch.
//!
//! | arrives | nothing recorded | tried | confirmed | cancelled | another instance |
//! |---|---|---|---|---|---|
//! | Try | run, record; long past its deadline: refuse | repeat | repeat | refuse: the hanging Try | refuse |
//! | Confirm | no Try leg: run, record; else gone | run, record | repeat | gone | gone |
//! | Cancel | record, not run: the empty Cancel | run, record | refuse | repeat | gone |

use http::StatusCode;
use std::time::Duration;
use tercet_wire::{Instance, Op, Wall};

use crate::legs::Legs;

/// How long past its deadline a Try is turned away although nothing is recorded of its
/// branch. It is a second line of defence, for a Try so late that the row of its Cancel has been
/// purged; it is generous because it compares the clocks of two machines.
pub const LATE_TRY_MARGIN: Duration = Duration::from_secs(60 * 60);

/// What the participant has done for a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Reserved.
    Tried,
    /// Took what was reserved.
    Confirmed,
    /// Released what was reserved, or had nothing to release.
    Cancelled,
}

impl State {
    /// As stored and as answered.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state a call leaves behind once it was done.
    #[must_use]
    pub fn after(op: Op) -> Self {
        match op {
            Op::Try => Self::Tried,
            Op::Confirm => Self::Confirmed,
            Op::Cancel => Self::Cancelled,
        }
    }
}

/// The guard's row of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// The life of the gid that wrote it.
    pub instance: Instance,
    /// What has been done.
    pub state: State,
}

/// What of a call the rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// Try, Confirm or Cancel.
    pub op: Op,
    /// The legs the branch has.
    pub legs: Legs,
    /// The life of the gid that speaks.
    pub instance: Instance,
    /// Whether it is a Try that comes longer than [`LATE_TRY_MARGIN`] after its deadline.
    pub long_past: bool,
}

/// Whether an unanswered Try with this deadline has been given up long before `now`.
#[must_use]
pub fn is_long_past(deadline: Option<Wall>, now: Wall) -> bool {
    deadline.is_some_and(|deadline| now.since(deadline) > LATE_TRY_MARGIN)
}

/// What to do with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Run the business code and record that the call was done.
    Run,
    /// Record the call as done without running anything: the empty Cancel.
    Record,
    /// It was done before: say so, run nothing.
    Repeat,
    /// It must not be done.
    Refuse(Contradiction),
}

/// Why a call must not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contradiction {
    /// A Try after the Cancel of its branch: its reservation would never be released.
    HangingTry,
    /// A Try long after its deadline.
    LateTry,
    /// A Confirm of a branch that was never tried.
    NeverTried,
    /// A Confirm of a branch that was cancelled.
    ConfirmAfterCancel,
    /// A Cancel of a branch that was confirmed.
    CancelAfterConfirm,
    /// A Try under a gid and branch that another transaction has used.
    TryOfAnotherInstance,
    /// A Confirm or Cancel under a gid and branch that another transaction has used.
    DecisionOfAnotherInstance,
}

impl Contradiction {
    /// The HTTP status it is answered with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::HangingTry
            | Self::LateTry
            | Self::CancelAfterConfirm
            | Self::TryOfAnotherInstance => StatusCode::CONFLICT,
            Self::NeverTried | Self::ConfirmAfterCancel | Self::DecisionOfAnotherInstance => {
                StatusCode::GONE
            }
        }
    }

    /// The code it is answered with, for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::HangingTry | Self::ConfirmAfterCancel => "branch-cancelled",
            Self::LateTry => "deadline-passed",
            Self::NeverTried => "branch-not-tried",
            Self::CancelAfterConfirm => "branch-confirmed",
            Self::TryOfAnotherInstance | Self::DecisionOfAnotherInstance => "another-instance",
        }
    }

    /// What is wrong, for people.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::HangingTry => "this branch was cancelled before its Try arrived",
            Self::LateTry => {
                "by this machine's clock the Try comes more than an hour after its deadline"
            }
            Self::NeverTried => "this branch was never tried here, so there is nothing to confirm",
            Self::ConfirmAfterCancel => "this branch was cancelled, so there is nothing to confirm",
            Self::CancelAfterConfirm => "this branch was confirmed and cannot be cancelled",
            Self::TryOfAnotherInstance | Self::DecisionOfAnotherInstance => {
                "another transaction has used this gid and branch before"
            }
        }
    }

    /// Whether it can only come from a fault on some side, so that people should be told.
    #[must_use]
    pub fn is_alarming(self) -> bool {
        match self {
            Self::HangingTry | Self::LateTry => false,
            Self::NeverTried
            | Self::ConfirmAfterCancel
            | Self::CancelAfterConfirm
            | Self::TryOfAnotherInstance
            | Self::DecisionOfAnotherInstance => true,
        }
    }
}

/// The rule itself: pure, so that every cell is a line in a test.
#[must_use]
pub fn decide(recorded: Option<Recorded>, arrival: Arrival) -> Action {
    use Action::{Record, Refuse, Repeat, Run};

    let Some(recorded) = recorded else {
        return match arrival.op {
            Op::Try if arrival.long_past => Refuse(Contradiction::LateTry),
            Op::Try => Run,
            Op::Confirm if arrival.legs.has(Op::Try) => Refuse(Contradiction::NeverTried),
            Op::Confirm => Run,
            Op::Cancel => Record,
        };
    };
    if recorded.instance != arrival.instance {
        return Refuse(match arrival.op {
            Op::Try => Contradiction::TryOfAnotherInstance,
            Op::Confirm | Op::Cancel => Contradiction::DecisionOfAnotherInstance,
        });
    }
    match (arrival.op, recorded.state) {
        (Op::Try, State::Tried | State::Confirmed) => Repeat,
        (Op::Try, State::Cancelled) => Refuse(Contradiction::HangingTry),
        (Op::Confirm, State::Tried) => Run,
        (Op::Confirm, State::Confirmed) => Repeat,
        (Op::Confirm, State::Cancelled) => Refuse(Contradiction::ConfirmAfterCancel),
        (Op::Cancel, State::Tried) => Run,
        (Op::Cancel, State::Confirmed) => Refuse(Contradiction::CancelAfterConfirm),
        (Op::Cancel, State::Cancelled) => Repeat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::tests_support::instance;

    /// One line per cell: what arrives, what is recorded, what is done and answered.
    #[test]
    fn every_cell_of_the_table() {
        #[rustfmt::skip]
        let table = [
            ("try",             "nothing",           "run"),
            ("late try",        "nothing",           "409 deadline-passed"),
            ("try",             "tried",             "repeat"),
            ("late try",        "tried",             "repeat"),
            ("try",             "confirmed",         "repeat"),
            ("late try",        "confirmed",         "repeat"),
            ("try",             "cancelled",         "409 branch-cancelled"),
            ("late try",        "cancelled",         "409 branch-cancelled"),
            ("try",             "tried, other",      "409 another-instance"),
            ("try",             "confirmed, other",  "409 another-instance"),
            ("try",             "cancelled, other",  "409 another-instance"),
            ("late try",        "cancelled, other",  "409 another-instance"),

            ("confirm",         "nothing",           "410 branch-not-tried"),
            ("confirm, no try", "nothing",           "run"),
            ("confirm",         "tried",             "run"),
            ("confirm, no try", "tried",             "run"),
            ("confirm",         "confirmed",         "repeat"),
            ("confirm, no try", "confirmed",         "repeat"),
            ("confirm",         "cancelled",         "410 branch-cancelled"),
            ("confirm, no try", "cancelled",         "410 branch-cancelled"),
            ("confirm",         "tried, other",      "410 another-instance"),
            ("confirm",         "confirmed, other",  "410 another-instance"),
            ("confirm, no try", "confirmed, other",  "410 another-instance"),
            ("confirm",         "cancelled, other",  "410 another-instance"),

            ("cancel",          "nothing",           "record"),
            ("cancel, no try",  "nothing",           "record"),
            ("cancel",          "tried",             "run"),
            ("cancel",          "confirmed",         "409 branch-confirmed"),
            ("cancel, no try",  "confirmed",         "409 branch-confirmed"),
            ("cancel",          "cancelled",         "repeat"),
            ("cancel",          "tried, other",      "410 another-instance"),
            ("cancel",          "confirmed, other",  "410 another-instance"),
            ("cancel",          "cancelled, other",  "410 another-instance"),
        ];
        for (arrives, recorded, expected) in table {
            let done = match decide(recorded_as(recorded), arrival(arrives)) {
                Action::Run => "run".to_owned(),
                Action::Record => "record".to_owned(),
                Action::Repeat => "repeat".to_owned(),
                Action::Refuse(why) => format!("{} {}", why.status().as_u16(), why.code()),
            };
            assert_eq!(done, expected, "{arrives} arrives, {recorded} recorded");
        }
    }

    fn arrival(words: &str) -> Arrival {
        let call = words.split(',').next().and_then(|call| call.split(' ').next_back());
        let op = call.and_then(|op| op.parse().ok()).expect("a call");
        let legs = if words.ends_with("no try") { "confirm,cancel" } else { "try,confirm,cancel" };
        Arrival {
            op,
            legs: legs.parse().expect("legs"),
            instance: instance(1),
            long_past: words.starts_with("late"),
        }
    }

    fn recorded_as(words: &str) -> Option<Recorded> {
        let state = [State::Tried, State::Confirmed, State::Cancelled]
            .into_iter()
            .find(|state| words.starts_with(state.as_str()))?;
        let speaker = if words.ends_with("other") { instance(2) } else { instance(1) };
        Some(Recorded { instance: speaker, state })
    }

    #[test]
    fn a_try_is_long_past_only_after_the_margin() {
        let deadline = Some(Wall(1_000_000));
        let margin_ms = i64::try_from(LATE_TRY_MARGIN.as_millis()).expect("an hour fits");
        assert!(!is_long_past(deadline, Wall(0)));
        assert!(!is_long_past(deadline, Wall(1_000_000 + margin_ms)));
        assert!(is_long_past(deadline, Wall(1_000_001 + margin_ms)));
        assert!(!is_long_past(None, Wall(i64::MAX)));
    }
}
