//! Who does something by hand, and under which name the audit has it.

use std::fmt;
use std::sync::Arc;

use crate::ids::ActId;

/// An operator, as somebody who does something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    /// The name of the token or JWT, or the address.
    pub who: Arc<str>,
    /// Where the audit has it.
    pub audited: Audited,
}

/// Where the audit has what an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audited {
    /// In a row of its own.
    Row {
        /// The row's id.
        id: ActId,
        /// What role the operator had.
        role: &'static str,
    },
    /// In the row of a larger act, which it is a part of.
    PartOf(ActId),
}

/// Who it was, for the history; and the act that it is a part of, if it is one of many.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.audited {
            Audited::Row { .. } => write!(f, "by {}", self.who),
            Audited::PartOf(act) => write!(f, "by {} (act {act})", self.who),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_act_names_it() {
        let id: ActId = "01980000-0000-7000-8000-000000000007".parse().expect("an id");
        let by = |audited| Operator { who: "alice".into(), audited }.to_string();
        assert_eq!(by(Audited::Row { id, role: "operator" }), "by alice");
        assert_eq!(by(Audited::PartOf(id)), format!("by alice (act {id})"));
    }
}
