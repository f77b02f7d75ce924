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
