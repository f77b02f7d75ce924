//! The states people and programs see.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::op::Op;

/// The text names no value of the enumeration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{given:?} is not one of {allowed}")]
pub struct UnknownName {
    given: String,
    allowed: &'static str,
}

impl UnknownName {
    /// What was given (its first 64 characters are kept), and what would have done.
    #[must_use]
    pub fn new(given: &str, allowed: &'static str) -> Self {
        Self { given: given.chars().take(64).collect(), allowed }
    }
}

/// An enumeration written as one word everywhere: on the wire, in the journal, in metrics.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[doc = $variant_doc])* #[serde(rename = $word)] $variant),+
        }

        #[cfg(feature = "openapi")]
        crate::schema::words!($name, concat!($($doc, "\n"),*), $($word => concat!($($variant_doc, " "),*)),+);

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                let found = Self::ALL.iter().copied().find(|value| value.as_str() == text);
                found.ok_or_else(|| UnknownName::new(text, concat!($($word, " "),+).trim_ascii_end()))
            }
        }
    };
}

words!(
    /// Where a global transaction stands.
    Status {
        /// Branches are being reserved; nothing is decided.
        Trying = "trying",
        /// Confirm is decided; not every branch has acknowledged it.
        Confirming = "confirming",
        /// Cancel is decided; not every branch has acknowledged it.
        Cancelling = "cancelling",
        /// Every branch acknowledged Confirm, or was resolved by an operator, which it shows.
        Confirmed = "confirmed",
        /// Every branch acknowledged Cancel, or was resolved by an operator, which it shows.
        Cancelled = "cancelled",
    }
);

impl Status {
    /// Whether the decision has been taken.
    #[must_use]
    pub fn is_decided(self) -> bool {
        match self {
            Self::Trying => false,
            Self::Confirming | Self::Cancelling | Self::Confirmed | Self::Cancelled => true,
        }
    }

    /// The call that tells the decision, once it is taken.
    #[must_use]
    pub fn decided_op(self) -> Option<Op> {
        match self {
            Self::Trying => None,
            Self::Confirming | Self::Confirmed => Some(Op::Confirm),
            Self::Cancelling | Self::Cancelled => Some(Op::Cancel),
        }
    }

    /// Whether every branch has acknowledged the decision.
    #[must_use]
    pub fn is_finished(self) -> bool {
        match self {
            Self::Trying | Self::Confirming | Self::Cancelling => false,
            Self::Confirmed | Self::Cancelled => true,
        }
    }
}

words!(
    /// Where a branch stands.
    BranchStatus {
        /// Logged; its Try is not answered, or the initiator calls it.
        Registered = "registered",
        /// Reserved, or it has no Try leg.
        Tried = "tried",
        /// Its Try was refused; it gets Cancel all the same.
        Refused = "refused",
        /// It acknowledged Confirm, or has no Confirm leg.
        Confirmed = "confirmed",
        /// It acknowledged Cancel, or has no Cancel leg.
        Cancelled = "cancelled",
        /// It was never called and never will be: its saga was cancelled before its turn.
        Skipped = "skipped",
    }
);

words!(
    /// Why a transaction was cancelled.
    Reason {
        /// A participant refused its Try.
        TryRefused = "try-refused",
        /// The attempts of a Try were used up, and nobody knows whether it was done.
        TryFailed = "try-failed",
        /// Nobody decided in time.
        Deadline = "deadline",
        /// The initiator asked for it.
        Requested = "requested",
        /// An operator asked for it.
        Operator = "operator",
        /// Its initiator was asked and said that nothing came of it.
        Check = "check",
    }
);

words!(
    /// The shape of a transaction: in which order its branches are called.
    Pattern {
        /// All are tried at once, then all are confirmed, or cancelled.
        Tcc = "tcc",
        /// Each is tried, and confirmed, once those that come before it are, and cancelled once those
        /// that come after it are.
        Saga = "saga",
    }
);

words!(
    /// Who calls the Try of a branch.
    TryBy {
        /// Tercet does.
        Coordinator = "coordinator",
        /// The initiator does, and tells nobody how it went; only an open transaction can have it.
        Initiator = "initiator",
    }
);

words!(
    /// How an operator ended a branch by hand.
    ResolvedAs {
        /// As if it had acknowledged Confirm.
        Confirmed = "confirmed",
        /// As if it had acknowledged Cancel.
        Cancelled = "cancelled",
    }
);

impl ResolvedAs {
    /// The call whose acknowledgement it stands for.
    #[must_use]
    pub fn op(self) -> Op {
        match self {
            Self::Confirmed => Op::Confirm,
            Self::Cancelled => Op::Cancel,
        }
    }

    /// What the branch shows from then on.
    #[must_use]
    pub fn status(self) -> BranchStatus {
        match self {
            Self::Confirmed => BranchStatus::Confirmed,
            Self::Cancelled => BranchStatus::Cancelled,
        }
    }
}

words!(
    /// How freely a destination is called.
    BreakerState {
        /// Calls are made freely.
        Closed = "closed",
        /// It answers again: calls become more as they are answered.
        HalfOpen = "half-open",
        /// Nothing but probes is sent.
        Open = "open",
    }
);

words!(
    /// What a line of a transaction's history says.
    EventKind {
        /// The transaction was logged.
        Begun = "begun",
        /// A call was answered in a way that means it is made again, or not answered.
        CallFailed = "call-failed",
        /// A Try was refused.
        TryRefused = "try-refused",
        /// The decision was taken; `detail` says which and why.
        Decided = "decided",
        /// A branch was shown to people because it does not get on by itself.
        Parked = "parked",
        /// An operator had what was waiting called at once; `detail` says who.
        Retried = "retried",
        /// An operator ended a branch by hand; `detail` says how, who and why.
        Resolved = "resolved",
        /// An operator has a branch called elsewhere; `detail` says who, from where to where and why.
        Readdressed = "readdressed",
        /// A call was answered otherwise than an operator had resolved its branch meanwhile.
        Contradicted = "contradicted",
        /// A leg of a step of a saga was called for the first time.
        StepCalled = "step-called",
        /// That leg is done.
        StepDone = "step-done",
        /// Its initiator was asked what became of it and said so; `detail` has the answer.
        Checked = "checked",
        /// Another node drives it from here on; `detail` says which life of which it had before.
        TakenOver = "taken-over",
        /// Everyone has acknowledged.
        Finished = "finished",
        /// The history is full; what came after is not in it.
        Truncated = "truncated",
    }
);

words!(
    /// What an operator can do that the audit keeps.
    Action {
        /// Had what was waiting in one transaction called at once.
        Retry = "retry",
        /// The same for all that a filter finds.
        RetryAll = "retry-all",
        /// Ended a branch by hand.
        Resolve = "resolve",
        /// Had a branch called elsewhere, or with other headers.
        Readdress = "readdress",
        /// Put a version of a saga's definition.
        SagaPut = "saga-put",
        /// Retired a saga's definition.
        SagaRetire = "saga-retire",
        /// Had a participant called no more.
        Pause = "pause",
        /// Had it called again.
        Resume = "resume",
        /// Began a job: something that is done to all that a filter finds, one after the other.
        JobBegin = "job-begin",
        /// Stopped a job.
        JobStop = "job-stop",
        /// Had what was held since a restore go on.
        Release = "release",
        /// Confirmed one that was held since a restore.
        ConfirmHeld = "confirm-held",
        /// Cancelled one that was held since a restore.
        CancelHeld = "cancel-held",
    }
);

words!(
    /// What a job does to each transaction.
    JobAction {
        /// Has what is waiting called at once.
        Retry = "retry",
        /// Cancels what is not decided.
        Cancel = "cancel",
        /// Ends branches by hand.
        Resolve = "resolve",
    }
);

impl JobAction {
    /// Whether nothing of it can be done to a transaction of this status: the decision is another, or
    /// is yet to be taken.
    #[must_use]
    pub fn leaves_out(self, status: Status) -> bool {
        match self {
            Self::Retry => false,
            Self::Cancel => status.decided_op() == Some(Op::Confirm),
            Self::Resolve => !status.is_decided(),
        }
    }
}

words!(
    /// How far a job is.
    JobState {
        /// It waits for others to end.
        Queued = "queued",
        /// It finds what it is about, or acts on it.
        Running = "running",
        /// It was stopped, and what it is at is being ended.
        Stopping = "stopping",
        /// It was stopped; what it had not come to is as it was.
        Stopped = "stopped",
        /// It has come to everything.
        Done = "done",
    }
);

words!(
    /// How far a job is, as its rows have it.
    JobStage {
        /// It was begun.
        Queued = "queued",
        /// It finds what it is about.
        Matching = "matching",
        /// It acts on what it has found.
        Running = "running",
        /// It was stopped, and what it is at is being ended.
        Stopping = "stopping",
        /// It was stopped.
        Stopped = "stopped",
        /// It has come to everything.
        Done = "done",
    }
);

impl JobStage {
    /// Whether nothing is done by it any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::Matching | Self::Running | Self::Stopping => false,
            Self::Stopped | Self::Done => true,
        }
    }

    /// What people are told.
    #[must_use]
    pub fn state(self) -> JobState {
        match self {
            Self::Queued => JobState::Queued,
            Self::Matching | Self::Running => JobState::Running,
            Self::Stopping => JobState::Stopping,
            Self::Stopped => JobState::Stopped,
            Self::Done => JobState::Done,
        }
    }
}

impl EventKind {
    /// Whether it is kept however long the history is: what somebody did, and the way of a saga.
    /// There is a bound for each of these.
    #[must_use]
    pub fn is_always_kept(self) -> bool {
        match self {
            Self::Retried
            | Self::Resolved
            | Self::Readdressed
            | Self::StepCalled
            | Self::StepDone => true,
            Self::Begun
            | Self::CallFailed
            | Self::TryRefused
            | Self::Decided
            | Self::Parked
            | Self::Contradicted
            | Self::Checked
            | Self::TakenOver
            | Self::Finished
            | Self::Truncated => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_parses_to_what_it_was_written_from() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        let unknown = "done".parse::<Status>().expect_err("no status").to_string();
        assert_eq!(
            unknown,
            "\"done\" is not one of trying confirming cancelling confirmed cancelled"
        );
    }
}
