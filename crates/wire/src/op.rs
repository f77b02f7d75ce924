//! The three calls of TCC, and which of them a branch has.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the three calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Reserve.
    Try,
    /// Take what was reserved.
    Confirm,
    /// Release what was reserved.
    Cancel,
}

impl Op {
    /// All three, in the order a transaction meets them.
    pub const ALL: [Self; 3] = [Self::Try, Self::Confirm, Self::Cancel];

    /// As written in `Tercet-Op`, in URLs and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Try => "try",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Op {
    type Err = UnknownOp;

    fn from_str(text: &str) -> Result<Self, UnknownOp> {
        Self::ALL.into_iter().find(|op| op.as_str() == text).ok_or(UnknownOp)
    }
}

#[cfg(feature = "openapi")]
crate::schema::words!(Op, "One of the three calls.", "try" => "Reserve.",
    "confirm" => "Take what was reserved.", "cancel" => "Release what was reserved.");

/// What a call asks for: a leg of a branch, or, of an initiator, what became of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallOp {
    /// One of the three calls of a branch.
    Leg(Op),
    /// An initiator is asked.
    Check,
}

impl CallOp {
    /// All four.
    pub const ALL: [Self; 4] =
        [Self::Leg(Op::Try), Self::Leg(Op::Confirm), Self::Leg(Op::Cancel), Self::Check];

    /// As written in `Tercet-Op`, in the history and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leg(op) => op.as_str(),
            Self::Check => "check",
        }
    }
}

impl From<Op> for CallOp {
    fn from(op: Op) -> Self {
        Self::Leg(op)
    }
}

impl PartialEq<Op> for CallOp {
    fn eq(&self, op: &Op) -> bool {
        *self == Self::Leg(*op)
    }
}

impl fmt::Display for CallOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for CallOp {
    type Err = UnknownOp;

    fn from_str(text: &str) -> Result<Self, UnknownOp> {
        Self::ALL.into_iter().find(|op| op.as_str() == text).ok_or(UnknownOp)
    }
}

impl Serialize for CallOp {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CallOp {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
crate::schema::words!(CallOp, "What a call asks for.", "try" => "Reserve.",
    "confirm" => "Take what was reserved.", "cancel" => "Release what was reserved.",
    "check" => "The initiator is asked what became of its transaction.");

/// The text names none of the three calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be try, confirm or cancel")]
pub struct UnknownOp;

/// One value for each of the three calls.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct PerOp<T> {
    /// For Try.
    #[serde(rename = "try")]
    pub try_: T,
    /// For Confirm.
    pub confirm: T,
    /// For Cancel.
    pub cancel: T,
}

impl<T> PerOp<T> {
    /// The value for one call.
    pub fn get(&self, op: Op) -> &T {
        match op {
            Op::Try => &self.try_,
            Op::Confirm => &self.confirm,
            Op::Cancel => &self.cancel,
        }
    }

    /// The value for one call, to change it.
    pub fn get_mut(&mut self, op: Op) -> &mut T {
        match op {
            Op::Try => &mut self.try_,
            Op::Confirm => &mut self.confirm,
            Op::Cancel => &mut self.cancel,
        }
    }
}
