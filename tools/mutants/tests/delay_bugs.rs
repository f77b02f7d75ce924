//! Bugs in what is put off, and in what is registered at once.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::EngineTest;

/// All of them.
pub(crate) const DELAY_BUGS: &[Bug] = &[
    Bug {
        name: "a Confirm that is put off is called at once after a restart",
        file: "crates/engine/src/transaction/restore.rs",
        instead_of: "branch.call_state = branch.first_call(op, decided, now.mono);",
        put: "let _ = decided;\n        branch.call_state = CallState::Due(now.mono);",
        caught_by: EngineTest("delays"),
    },
    Bug {
        name: "a Confirm that is put off waits anew after each restart",
        file: "crates/engine/src/transaction/restore.rs",
        instead_of: "branch.first_call(op, decided, now.mono);",
        put: "branch.first_call(op, decided.min(Duration::ZERO), now.mono);",
        caught_by: EngineTest("delays"),
    },
    Bug {
        name: "retry hurries what is put off",
        file: "crates/engine/src/transaction/operator.rs",
        instead_of: "CallState::Due(at) if at > step.now.mono => {",
        put: "CallState::Due(at) | CallState::Held(at) if at > step.now.mono => {",
        caught_by: EngineTest("delays"),
    },
    Bug {
        name: "what is put off is shown to people meanwhile",
        file: "crates/engine/src/transaction/parking.rs",
        instead_of: "                && !is_held\n",
        put: "                && (!is_held || is_held)\n",
        caught_by: EngineTest("delays"),
    },
    Bug {
        name: "P9: what is asleep in the journal is looked for again and again",
        file: "crates/engine/src/transaction/paging.rs",
        instead_of: "parks.into_iter().chain(held).min_by_key(|wake| wake.at)",
        put: "parks.into_iter().chain(held.filter(|wake| wake.at == Mono(0))).min_by_key(|wake| wake.at)",
        caught_by: EngineTest("delays"),
    },
    Bug {
        name: "of several that are registered at once only the first is written",
        file: "crates/engine/src/transaction/requests.rs",
        instead_of: "step.changes.push(Change::RegisteredAtOnce(specs));",
        put: "step.changes.push(Change::RegisteredAtOnce(specs.into_iter().take(1).collect()));",
        caught_by: EngineTest("several"),
    },
    Bug {
        name: "several that are registered at once are a record each",
        file: "crates/engine/src/transaction/requests.rs",
        instead_of: "step.changes.push(Change::RegisteredAtOnce(specs));",
        put: "step.changes.extend(specs.into_iter().map(Change::Registered));",
        caught_by: EngineTest("recovery"),
    },
    Bug {
        name: "P2: who waits for several is told that all is well before all are tried",
        file: "crates/engine/src/engine/live_transaction.rs",
        instead_of: "            other @ (WaitResult::No | WaitResult::OnlyAccepted | WaitResult::Never(_)) => {\n                return other;",
        put: "            other @ (WaitResult::No | WaitResult::OnlyAccepted | WaitResult::Never(_)) => {\n                let _ = other;\n                break;",
        caught_by: EngineTest("several"),
    },
];
