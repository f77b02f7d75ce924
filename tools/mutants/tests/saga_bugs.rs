//! Bugs in the order of sagas. Scripts catch them, which take less time than the model, where they were
//! caught as well.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::EngineTest;

/// All of them.
pub(crate) const SAGA_BUGS: &[Bug] = &[
    Bug {
        name: "a step is called before the one before it is done",
        file: "crates/engine/src/transaction/pattern.rs",
        instead_of: "None => self.is_in_its_round(position) && self.is_reached(order, position),",
        put: "None => self.is_in_its_round(position),",
        caught_by: EngineTest("saga"),
    },
    Bug {
        name: "steps are undone in the order in which they were done",
        file: "crates/engine/src/transaction/pattern.rs",
        instead_of: "Some(Decision::Cancel { .. }) => order.after(position).all(is_done),",
        put: "Some(Decision::Cancel { .. }) => order.before(position).all(is_done),",
        caught_by: EngineTest("saga"),
    },
    Bug {
        name: "a step is confirmed before the one before it is",
        file: "crates/engine/src/transaction/pattern.rs",
        instead_of: "Some(Decision::Confirm) => order.before(position).all(is_done),",
        put: "Some(Decision::Confirm) => true,",
        caught_by: EngineTest("saga"),
    },
    Bug {
        name: "what never ran is undone",
        file: "crates/engine/src/transaction/pattern.rs",
        instead_of: "filter(|position| !self.is_reached(order, *position)).collect()",
        put: "filter(|position| *position == usize::MAX && !self.is_reached(order, *position)).collect()",
        caught_by: EngineTest("saga"),
    },
    Bug {
        name: "P4: what may have run is not undone, since nobody has heard of it",
        file: "crates/engine/src/transaction/pattern.rs",
        instead_of: "filter(|position| !self.is_reached(order, *position)).collect()",
        put: "filter(|position| !self.is_reached(order, *position) || self.branches[*position].state == BranchState::Registered).collect()",
        caught_by: EngineTest("saga"),
    },
    Bug {
        name: "a skipped step is called after a restart",
        file: "crates/engine/src/transaction/restore.rs",
        instead_of: "filter(|_| known.status == BranchStatus::Skipped);",
        put: "filter(|_| known.status == BranchStatus::Skipped && stored.finished_at.is_some());",
        caught_by: EngineTest("saga"),
    },
    Bug {
        name: "P1: the next step is called before it is durable that it may",
        file: "crates/engine/src/transaction/answers.rs",
        instead_of: "self.spec.open || is_ordered, step)",
        put: "self.spec.open, step)",
        caught_by: EngineTest("saga"),
    },
];
