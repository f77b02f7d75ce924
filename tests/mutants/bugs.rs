//! The bugs, each as a change of text: what stands in the rules, and what would break them.

/// A bug.
pub(crate) struct Bug {
    pub(crate) name: &'static str,
    /// Below the root of the project.
    pub(crate) file: &'static str,
    pub(crate) instead_of: &'static str,
    pub(crate) put: &'static str,
    pub(crate) caught_by: CaughtBy,
}

/// What must notice a bug.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CaughtBy {
    /// The model over every state, or the cut after each record.
    ModelOrRecovery,
    /// The simulation, within a few thousand seeds.
    Simulation,
}

use CaughtBy::{ModelOrRecovery, Simulation};

pub(crate) const BUGS: &[Bug] = &[
    Bug {
        name: "P1, P3: effects leave before their records are durable",
        file: "crates/protocol/src/ring.rs",
        instead_of: "if held.after <= self.durable {",
        put: "if true {",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P3: replies alone do not wait for the disk",
        file: "crates/protocol/src/ring.rs",
        instead_of: "if held.after <= self.durable {",
        put: "if held.after <= self.durable || matches!(held.effect, Effect::Reply(..)) {",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P2: a cancel overwrites a confirm that is being told",
        file: "crates/protocol/src/transaction/requests.rs",
        instead_of: "Decision::Confirm => Err(Refusal::AlreadyConfirmed),",
        put: "Decision::Confirm => { self.decide(Decision::Cancel { reason: Reason::Requested, detail }, step); Ok(()) }",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P2: the deadline cancels what is being confirmed",
        file: "crates/protocol/src/transaction/settle.rs",
        instead_of: "Phase::Telling(_) | Phase::Finished { .. } => return None,\n        };\n        let refused",
        put: "Phase::Telling(_) => crate::time::Mono(31_000), Phase::Finished { .. } => return None,\n        };\n        let refused",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P4: a branch is accepted after the decision",
        file: "crates/protocol/src/transaction/requests.rs",
        instead_of: "return Err(already(&decided.decision));",
        put: "let _late = decided;",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P4: a refused branch is not told the cancel",
        file: "crates/protocol/src/transaction/settle.rs",
        instead_of: "if branch.spec.url(op).is_none() && !branch.is_done() {",
        put: "if branch.standing == Standing::Refused || branch.spec.url(op).is_none() && !branch.is_done() {",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P7: finished when the first branch acknowledged",
        file: "crates/protocol/src/transaction/settle.rs",
        instead_of: "if !self.branches.iter().all(super::Branch::is_done) {",
        put: "if !self.branches.iter().any(super::Branch::is_done) {",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "an open transaction confirms although a Try is unanswered",
        file: "crates/protocol/src/transaction/requests.rs",
        instead_of: "if !outstanding.is_empty() {",
        put: "if false {",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "a late answer to a Try counts as an acknowledgement",
        file: "crates/protocol/src/transaction/answers.rs",
        instead_of: "if op == decided_op && !branch.is_done()",
        put: "if !branch.is_done()",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P5: a restart cancels what could still be confirmed",
        file: "crates/protocol/src/transaction/restore.rs",
        instead_of: "Phase::Trying { deadline: deadline(stored, resume, now) }",
        put: "Phase::Trying { deadline: { let _ = deadline(stored, resume, now); now.mono } }",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P5: a restart calls nobody",
        file: "crates/protocol/src/transaction/restore.rs",
        instead_of: "branch.calling = Calling::Due(now.mono);",
        put: "",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P5: a restart forgets that a registered branch was tried",
        file: "crates/protocol/src/transaction/restore.rs",
        instead_of: "(None, BranchStatus::Registered) => Standing::Registered,",
        put: "(None, BranchStatus::Registered) => Standing::Tried,",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "a call that failed is not made again",
        file: "crates/protocol/src/transaction/answers.rs",
        instead_of: "let pause = step.rules.backoff.pause(branch.trouble.failures, luck, pause);\n                branch.calling = Calling::Due(step.now.mono.after(pause));",
        put: "let _never = (luck, pause);\n                branch.calling = Calling::Idle;",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "a finished transaction is forgotten before that is durable",
        file: "crates/protocol/src/engine/mod.rs",
        instead_of: "if needs > seq {",
        put: "if false {",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P7: an operator's word does not wait for the call under way",
        file: "crates/protocol/src/transaction/by_hand.rs",
        instead_of: "Calling::InFlight { .. } => true,",
        put: "Calling::InFlight { .. } => false,",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P7: an operator's word is not written until everything is done",
        file: "crates/protocol/src/transaction/by_hand.rs",
        instead_of: "            branch.write_row_into(step);\n",
        put: "",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P1: calls alone do not wait for the disk",
        file: "crates/protocol/src/ring.rs",
        instead_of: "if held.after <= self.durable {",
        put: "if held.after <= self.durable || matches!(held.effect, Effect::Call(_)) {",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: a confirm overwrites a cancel that is being told",
        file: "crates/protocol/src/transaction/requests.rs",
        instead_of: "Decision::Cancel { .. } => Err(Refusal::AlreadyCancelled),\n            },\n        }\n    }\n\n    /// The initiator asks for cancel",
        put: "Decision::Cancel { .. } => { self.decide(Decision::Confirm, step); Ok(()) }\n            },\n        }\n    }\n\n    /// The initiator asks for cancel",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: the deadline cancels what is being confirmed, at once",
        file: "crates/protocol/src/transaction/settle.rs",
        instead_of: "Phase::Telling(_) | Phase::Finished { .. } => return None,\n        };\n        let refused",
        put: "Phase::Telling(_) => crate::time::Mono(0), Phase::Finished { .. } => return None,\n        };\n        let refused",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: a branch is accepted while the decision is told",
        file: "crates/protocol/src/transaction/requests.rs",
        instead_of: "return Err(already(&decided.decision));",
        put: "let _late = decided;",
        caught_by: Simulation,
    },
    Bug {
        name: "the guard runs an empty Cancel",
        file: "crates/participant-sdk/src/guard/table.rs",
        instead_of: "Op::Cancel => Record,",
        put: "Op::Cancel => Run,",
        caught_by: Simulation,
    },
    Bug {
        name: "the guard accepts a Try after its Cancel",
        file: "crates/participant-sdk/src/guard/table.rs",
        instead_of: "(Op::Try, State::Cancelled) => Refuse(Contradiction::HangingTry),",
        put: "(Op::Try, State::Cancelled) => Run,",
        caught_by: Simulation,
    },
    Bug {
        name: "the guard runs a repeated Try again",
        file: "crates/participant-sdk/src/guard/table.rs",
        instead_of: "(Op::Try, State::Tried | State::Confirmed) => Repeat,",
        put: "(Op::Try, State::Tried) => Run,\n        (Op::Try, State::Confirmed) => Repeat,",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: the last acknowledgement is not written",
        file: "crates/protocol/src/engine/known.rs",
        instead_of: "completion.into_iter().map(&mut write).last()",
        put: "completion.into_iter().map(|_| Seq(0)).last()",
        caught_by: Simulation,
    },
    Bug {
        name: "a retry storm: the pause does not grow",
        file: "crates/protocol/src/backoff.rs",
        instead_of: "let step = self.first.saturating_mul(1 << doublings).min(self.cap);",
        put: "let step = self.first;",
        caught_by: Simulation,
    },
    Bug {
        name: "P6: branches are called one after another",
        file: "crates/protocol/src/transaction/settle.rs",
        instead_of: "let decision = self.decision().cloned();\n        for (position, branch) in self.branches.iter_mut().enumerate() {\n            let due =",
        put: "let decision = self.decision().cloned();\n        let busy = self.branches.iter().any(|branch| matches!(branch.calling, Calling::InFlight { .. }));\n        for (position, branch) in self.branches.iter_mut().enumerate() {\n            if busy || !step.calls.is_empty() {\n                break;\n            }\n            let due =",
        caught_by: Simulation,
    },
    Bug {
        name: "P6: rows that make no sense stop the recovery",
        file: "crates/protocol/src/recovery.rs",
        instead_of: "            Err(Unreadable { gid, why }) => {",
        put: "            Err(_) => return PageRead { events: Vec::new(), after: None },\n            Err(Unreadable { gid, why }) => {",
        caught_by: Simulation,
    },
    Bug {
        name: "a deadline is five milliseconds late",
        file: "crates/protocol/src/transaction/settle.rs",
        instead_of: "Phase::Trying { deadline } => Some(*deadline),",
        put: "Phase::Trying { deadline } => Some(crate::time::Mono(deadline.0 + 5)),",
        caught_by: Simulation,
    },
    Bug {
        name: "those that still wait for room are forgotten",
        file: "crates/protocol/src/engine/room.rs",
        instead_of: "if self.waiting.contains_key(destination) {\n            output.await_room",
        put: "if false {\n            output.await_room",
        caught_by: Simulation,
    },
    Bug {
        name: "what rests in the journal is not read again",
        file: "crates/protocol/src/engine/rest.rs",
        instead_of: "self.load(&gid, loading, output);",
        put: "self.loading.insert(gid, loading);",
        caught_by: Simulation,
    },
    Bug {
        name: "a destination loses its place with every call",
        file: "crates/protocol/src/dispatch/line.rs",
        instead_of: "self.under_way -= 1;",
        put: "",
        caught_by: Simulation,
    },
    Bug {
        name: "a pause that a participant asked for is cut short",
        file: "crates/protocol/src/transaction/room.rs",
        instead_of: " || branch.trouble.pause_asked {",
        put: " {",
        caught_by: Simulation,
    },
    Bug {
        name: "what was parked before a crash is shown for ever",
        file: "crates/protocol/src/transaction/restore.rs",
        instead_of: "parked_row: stored.parked,",
        put: "parked_row: false,",
        caught_by: Simulation,
    },
];
