//! Bugs in what becomes of participants that are paused.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::{EngineTest, Simulation};

/// All of them.
pub(crate) const PAUSE_BUGS: &[Bug] = &[
    Bug {
        name: "a participant that is paused is called",
        file: "crates/engine/src/transaction/pauses.rs",
        instead_of: "self.holds(url).then(|| Destination::of(url, self.path_segments))",
        put: "(self.holds(url) && self.path_segments > 99).then(|| Destination::of(url, 1))",
        caught_by: EngineTest("pauses"),
    },
    Bug {
        name: "a Try uses up its attempts while its participant is paused",
        file: "crates/engine/src/transaction/backpressure.rs",
        instead_of: "if !is_over || Self::is_paused(branch, op, step) {",
        put: "if !is_over {",
        caught_by: Simulation,
    },
    Bug {
        name: "what is paused is shown to people for it",
        file: "crates/engine/src/transaction/pauses.rs",
        instead_of: "(branch.failure_stats.since, branch.told_parked) = (None, None);",
        put: "branch.told_parked = None;",
        caught_by: EngineTest("pauses"),
    },
    Bug {
        name: "P4: what waited for a participant is not called when that is resumed",
        file: "crates/engine/src/engine/pauses.rs",
        instead_of: "for destination in self.capacity.awaited_of(&resumed) {",
        put: "for destination in self.capacity.awaited_of(&paused) {",
        caught_by: Simulation,
    },
    Bug {
        name: "who backs off sleeps on when its participant is resumed",
        file: "crates/engine/src/transaction/pauses.rs",
        instead_of: "if let Some(url) = paused_call(branch, decision.as_ref()) {",
        put: "if let Some(url) = paused_call(branch, decision.as_ref()).filter(|_| false) {",
        caught_by: EngineTest("pauses"),
    },
    Bug {
        name: "what was parked before its participant was paused stays so",
        file: "crates/engine/src/transaction/pauses.rs",
        instead_of: "if std::mem::take(&mut branch.parked) {",
        put: "if false {",
        caught_by: EngineTest("pauses"),
    },
    Bug {
        name: "P3: people are told of what was parked before its participant was paused",
        file: "crates/engine/src/engine/known.rs",
        instead_of: "            None => branch.is_parked(),\n",
        put: "            None => true,\n",
        caught_by: EngineTest("pauses"),
    },
    Bug {
        name: "what is paused is shown as called soon",
        file: "crates/engine/src/transaction/view.rs",
        instead_of: "next_call(branch, transaction.decision()).is_some_and(|url| paused.holds(url))",
        put: "next_call(branch, None).is_some_and(|url| paused.holds(url))",
        caught_by: EngineTest("pauses"),
    },
];
