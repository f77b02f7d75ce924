//! Bugs in what whoever is called is told of those before it.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::{EngineTest, ModelOrRecovery, Simulation};

/// All of them.
pub(crate) const RESULT_BUGS: &[Bug] = &[
    Bug {
        name: "P1: a step is told what is not durable yet",
        file: "crates/engine/src/transaction/branch_rows.rs",
        instead_of: "step.changes.push(Change::Tried(Box::new(tried)));",
        put: "step.completion.push(Change::Tried(Box::new(tried)));",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P5: results are forgotten in a crash",
        file: "crates/engine/src/transaction/restore.rs",
        instead_of: "results: Results::of(stored),",
        put: "results: Results::default(),",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P1: a step is told what the last answer said, and not the one that is durable",
        file: "crates/engine/src/transaction/answers.rs",
        instead_of: "self.results.keep(position, result);",
        put: "self.results.keep(position, BranchResult::of_body(b\"0\"));",
        caught_by: Simulation,
    },
    Bug {
        name: "a branch is not told its own result when it is confirmed",
        file: "crates/engine/src/transaction/results.rs",
        instead_of: "let own = (op != Op::Try).then_some(position);",
        put: "let own = (op == Op::Cancel).then_some(position);",
        caught_by: EngineTest("results"),
    },
    Bug {
        name: "a branch that was not tried has a key",
        file: "crates/engine/src/transaction/results.rs",
        instead_of: "Some((id, self.results.get(position)?.clone()))",
        put: "let none = || BranchResult::of_body(b\"\");\n            Some((id, self.results.get(position).cloned().unwrap_or_else(none)))",
        caught_by: EngineTest("results"),
    },
    Bug {
        name: "only those right before a step are told to it",
        file: "crates/engine/src/transaction/results.rs",
        instead_of: "Some(order) => self.spec.open || asks(position) || order.after(position).any(asks),",
        put: "Some(order) => self.spec.open || asks(position) || order.after(position).take(1).any(asks),",
        caught_by: EngineTest("results"),
    },
    Bug {
        name: "P9: results may take what they like together",
        file: "crates/engine/src/transaction/results.rs",
        instead_of: "(op == Op::Try && all > RESULTS_BYTES).then(|| {",
        put: "(op == Op::Try && all > RESULTS_BYTES * 8).then(|| {",
        caught_by: EngineTest("results"),
    },
    Bug {
        name: "P9: nobody counts what results take in memory",
        file: "crates/engine/src/transaction/paging.rs",
        instead_of: "Branch::words_bytes) + self.results.bytes()",
        put: "Branch::words_bytes)",
        caught_by: EngineTest("results"),
    },
];
