//! The bugs of what operators do and of its rows.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::{EngineTest, Simulation};

pub(crate) const AUDIT_BUGS: &[Bug] = &[
    Bug {
        name: "P3: what an operator did is written after its effect, in a record of its own",
        file: "crates/engine/src/engine/entry.rs",
        instead_of: "Some(act) => vec![Change::Acted(Box::new(Acted { act: *act, changes }))],",
        put: "Some(act) => {\n                let mut changes = changes;\n                changes.push(Change::Acted(Box::new(Acted { act: *act, changes: Vec::new() })));\n                changes\n            }",
        caught_by: Simulation,
    },
    Bug {
        name: "P3: what an operator did is written before its effect, in a record of its own",
        file: "crates/engine/src/engine/entry.rs",
        instead_of: "Some(act) => vec![Change::Acted(Box::new(Acted { act: *act, changes }))],",
        put: "Some(act) => {\n                let mut changes = changes;\n                changes.insert(0, Change::Acted(Box::new(Acted { act: *act, changes: Vec::new() })));\n                changes\n            }",
        caught_by: EngineTest("operator"),
    },
    Bug {
        name: "of two words that say different things the second is dropped without a word",
        file: "crates/engine/src/transaction/operator.rs",
        instead_of: "as_ => Err(Refusal::ResolvedOtherwise(word.branch, as_)),",
        put: "_ => Ok(()),",
        caught_by: EngineTest("operator"),
    },
];
