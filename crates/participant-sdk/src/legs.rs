//! Which of the three calls a branch has.

use std::fmt;
use std::str::FromStr;

use tercet_wire::{Op, UnknownOp};

/// The legs of a branch, as `Tercet-Legs` lists them. The guard needs them: a Confirm
/// without a Try before it is right for a branch that has no Try, and wrong for any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Legs {
    try_: bool,
    confirm: bool,
    cancel: bool,
}

impl Legs {
    /// Try, Confirm and Cancel.
    pub const ALL: Self = Self { try_: true, confirm: true, cancel: true };

    /// The legs for which `has` says yes.
    pub(crate) fn where_(has: impl Fn(Op) -> bool) -> Self {
        Self { try_: has(Op::Try), confirm: has(Op::Confirm), cancel: has(Op::Cancel) }
    }

    /// Whether the branch has this leg.
    #[must_use]
    pub fn has(self, op: Op) -> bool {
        match op {
            Op::Try => self.try_,
            Op::Confirm => self.confirm,
            Op::Cancel => self.cancel,
        }
    }
}

impl FromStr for Legs {
    type Err = UnknownOp;

    /// Reads `try,confirm,cancel` or a part of it, in any order.
    fn from_str(text: &str) -> Result<Self, UnknownOp> {
        let mut legs = Self { try_: false, confirm: false, cancel: false };
        for word in text.split(',') {
            match word.trim().parse()? {
                Op::Try => legs.try_ = true,
                Op::Confirm => legs.confirm = true,
                Op::Cancel => legs.cancel = true,
            }
        }
        Ok(legs)
    }
}

impl fmt::Display for Legs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present: Vec<&str> =
            Op::ALL.into_iter().filter(|op| self.has(*op)).map(Op::as_str).collect();
        f.write_str(&present.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_are_read_as_the_coordinator_writes_them() {
        for text in ["try,confirm,cancel", "try,cancel", "confirm", "try"] {
            let legs: Legs = text.parse().expect("legs");
            assert_eq!(legs.to_string(), text);
        }
        assert_eq!("cancel, try,confirm".parse(), Ok(Legs::ALL));
        assert_eq!("".parse::<Legs>(), Err(UnknownOp));
        assert_eq!("try,undo".parse::<Legs>(), Err(UnknownOp));
    }
}
