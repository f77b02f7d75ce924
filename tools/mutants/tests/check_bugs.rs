//! Bugs in how an initiator is asked at the deadline.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::EngineTest;

/// All of them.
pub(crate) const CHECK_BUGS: &[Bug] = &[
    Bug {
        name: "P2: what an initiator answers overrides a decision",
        file: "crates/engine/src/transaction/advance.rs",
        instead_of: "        self.initiator = None;\n",
        put: "",
        caught_by: EngineTest("check"),
    },
    Bug {
        name: "P2: an initiator is asked although a Try has no answer",
        file: "crates/engine/src/transaction/asking.rs",
        instead_of: "self.spec.check().is_some() && !self.branches.iter().any(Branch::is_try_outstanding)",
        put: "self.spec.check().is_some()",
        caught_by: EngineTest("check"),
    },
    Bug {
        name: "P4: a branch is registered while the initiator is asked",
        file: "crates/engine/src/transaction/asking.rs",
        instead_of: "self.spec.check().is_some() && (self.initiator.is_some() || *deadline <= now)",
        put: "self.spec.check().is_some() && self.initiator.is_some()",
        caught_by: EngineTest("check"),
    },
    Bug {
        name: "P5: after a restart nobody sees that an initiator does not say what became of it",
        file: "crates/engine/src/transaction/restore.rs",
        instead_of: "transaction.goes_on_asking(Some(told), now);",
        put: "let _ = told;",
        caught_by: EngineTest("check"),
    },
    Bug {
        name: "P8: a clock in doubt has an initiator asked at once",
        file: "crates/engine/src/transaction/asking.rs",
        instead_of: "let is_over = self.deadline().is_some_and(|deadline| deadline <= now.mono);",
        put: "let is_over = self.deadline().is_some() && self.spec.deadline_at <= now.wall;",
        caught_by: EngineTest("check"),
    },
    Bug {
        name: "an initiator that is at it is shown to people",
        file: "crates/engine/src/transaction/asking.rs",
        instead_of: "                stats.since = Some(next);\n",
        put: "",
        caught_by: EngineTest("check"),
    },
    Bug {
        name: "P9: one that asks its initiator stays in memory",
        file: "crates/engine/src/transaction/paging.rs",
        instead_of: "let is_asked = |it: &Branch| matches!(it.call_state, CallState::InFlight { .. });",
        put: "let is_asked = |_: &Branch| true;",
        caught_by: EngineTest("check"),
    },
];
