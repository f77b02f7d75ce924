//! Bugs in where branches are called that operators have called elsewhere.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::{EngineTest, Simulation};

/// All of them.
pub(crate) const ADDRESS_BUGS: &[Bug] = &[
    Bug {
        name: "P1: where a branch is called from now on is written nowhere",
        file: "crates/engine/src/transaction/readdress.rs",
        instead_of: "        step.changes.push(Change::Readdressed(Arc::clone(&after)));\n",
        put: "        let _ = Change::Readdressed(Arc::clone(&after));\n",
        caught_by: Simulation,
    },
    Bug {
        name: "P1: a call that waits for the disk goes to where the branch was called",
        file: "crates/engine/src/engine/known.rs",
        instead_of: "            output.retract.extend(left_behind);\n",
        put: "            output.retract.extend(left_behind.filter(|it| it.attempt > 9));\n",
        caught_by: Simulation,
    },
    Bug {
        name: "what failed where a branch was called puts off its calls elsewhere",
        file: "crates/engine/src/transaction/answers.rs",
        instead_of: "Verdict::Again { .. } if was_left_behind => {",
        put: "Verdict::Again { .. } if was_left_behind && op == Op::Cancel => {",
        caught_by: EngineTest("readdress"),
    },
    Bug {
        name: "a branch that is called elsewhere gets legs that it had not",
        file: "crates/engine/src/transaction/readdress.rs",
        instead_of: "let (Some(url), had) = (word.urls.get(op), before.url(op).is_some()) else { continue };",
        put: "let (Some(url), had) = (word.urls.get(op), true) else { continue };",
        caught_by: EngineTest("readdress"),
    },
];
