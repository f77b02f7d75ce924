//! The bugs of what jobs do to transactions.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::EngineTest;

pub(crate) const JOB_BUGS: &[Bug] = &[
    Bug {
        name: "exactly-once: a transaction forgets which jobs have come to it",
        file: "crates/engine/src/transaction/jobs.rs",
        instead_of: "self.jobs.insert(place, act.job);",
        put: "let _ = place;",
        caught_by: EngineTest("jobs"),
    },
    Bug {
        name: "exactly-once: who takes a transaction up does not know which jobs have come to it",
        file: "crates/engine/src/transaction/restore.rs",
        instead_of: "jobs: stored.jobs.clone(),",
        put: "jobs: Vec::new(),",
        caught_by: EngineTest("jobs"),
    },
    Bug {
        name: "exactly-once: a job's tick is written after its effect, in a record of its own",
        file: "crates/engine/src/engine/entry.rs",
        instead_of: "Some(tick) => vec![Change::Ticked(Box::new(Ticked { tick: *tick, changes }))],",
        put: "Some(tick) => {\n                let mut changes = changes;\n                changes.push(Change::Ticked(Box::new(Ticked { tick: *tick, changes: Vec::new() })));\n                changes\n            }",
        caught_by: EngineTest("jobs"),
    },
    Bug {
        name: "a job ends branches that its filter does not mean",
        file: "crates/engine/src/transaction/jobs.rs",
        instead_of: "&& self.participant.is_none_or(of_it)",
        put: "&& self.participant.is_none_or(|at| of_it(at) || !at.is_empty())",
        caught_by: EngineTest("jobs"),
    },
];
