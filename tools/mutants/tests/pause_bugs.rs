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
        instead_of: "                branch.failure_stats.since = None;\n",
        put: "                branch.failure_stats.no_room_since = None;\n",
        caught_by: EngineTest("pauses"),
    },
    Bug {
        name: "P4: what waited for a participant is not called when that is resumed",
        file: "crates/engine/src/engine/pauses.rs",
        instead_of: "output.notify_when_free.extend(self.capacity.awaited_of(&resumed));",
        put: "output.notify_when_free.extend(self.capacity.awaited_of(&paused));",
        caught_by: Simulation,
    },
];
