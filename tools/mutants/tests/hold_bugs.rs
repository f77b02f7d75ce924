//! The bugs of what is held since its database was restored.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::EngineTest;

/// All of them.
pub(crate) const HOLD_BUGS: &[Bug] = &[
    Bug {
        name: "P5: what is held is cancelled at its deadline",
        file: "crates/engine/src/transaction/advance.rs",
        instead_of: "        if self.is_held() {\n            return self.tell_whose_it_was(step);",
        put: "        if self.is_held() && self.deadline() > Some(step.now.mono) {\n            return self.tell_whose_it_was(step);",
        caught_by: EngineTest("held"),
    },
    Bug {
        name: "P4: a release forgets what it was to have gone on",
        file: "crates/engine/src/engine/mod.rs",
        instead_of: "            self.run(&gid, now, output, Transaction::release);\n",
        put: "            self.update(&gid, now, output);\n",
        caught_by: EngineTest("held"),
    },
    Bug {
        name: "P4: what was decided before its database was restored is held",
        file: "crates/engine/src/transaction/hold.rs",
        instead_of: "self.held && matches!(self.phase, Phase::Trying { .. })",
        put: "self.held",
        caught_by: EngineTest("held"),
    },
    Bug {
        name: "what is released past its deadline gets no round of Try",
        file: "crates/engine/src/transaction/hold.rs",
        instead_of: "Phase::Trying { deadline } if *deadline < round => {",
        put: "Phase::Trying { deadline } if *deadline > round => {",
        caught_by: EngineTest("held"),
    },
];
