//! Bugs in what becomes of participants that are paused.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::Simulation;

/// All of them.
pub(crate) const PAUSE_BUGS: &[Bug] = &[Bug {
    name: "P4: what waited for a participant is not called when that is resumed",
    file: "crates/engine/src/engine/pauses.rs",
    instead_of: "output.notify_when_free.extend(self.capacity.awaited_of(&resumed));",
    put: "output.notify_when_free.extend(self.capacity.awaited_of(&paused));",
    caught_by: Simulation,
}];
