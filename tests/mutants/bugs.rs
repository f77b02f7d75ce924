//! The bugs, each as a change of text: what stands in the rules, and what would break them.

/// A bug.
pub(crate) struct Bug {
    pub(crate) name: &'static str,
    /// Below `crates/protocol/src`.
    pub(crate) file: &'static str,
    pub(crate) instead_of: &'static str,
    pub(crate) put: &'static str,
}

pub(crate) const BUGS: &[Bug] = &[
    Bug {
        name: "P1, P3: effects leave before their records are durable",
        file: "ring.rs",
        instead_of: "if held.after <= self.durable {",
        put: "if true {",
    },
    Bug {
        name: "P3: replies alone do not wait for the disk",
        file: "ring.rs",
        instead_of: "if held.after <= self.durable {",
        put: "if held.after <= self.durable || matches!(held.effect, Effect::Reply(..)) {",
    },
    Bug {
        name: "P2: a cancel overwrites a confirm that is being told",
        file: "transaction/requests.rs",
        instead_of: "Decision::Confirm => Err(Refusal::AlreadyConfirmed),",
        put: "Decision::Confirm => { self.decide(Decision::Cancel { reason: Reason::Requested, detail }, step); Ok(()) }",
    },
    Bug {
        name: "P2: the deadline cancels what is being confirmed",
        file: "transaction/settle.rs",
        instead_of: "Phase::Telling(_) | Phase::Finished { .. } => return None,\n        };\n        let refused",
        put: "Phase::Telling(_) => crate::time::Mono(31_000), Phase::Finished { .. } => return None,\n        };\n        let refused",
    },
    Bug {
        name: "P4: a branch is accepted after the decision",
        file: "transaction/requests.rs",
        instead_of: "return Err(already(&decided.decision));",
        put: "let _late = decided;",
    },
    Bug {
        name: "P4: a refused branch is not told the cancel",
        file: "transaction/settle.rs",
        instead_of: "if branch.spec.url(op).is_none() && !branch.is_done() {",
        put: "if branch.standing == Standing::Refused || branch.spec.url(op).is_none() && !branch.is_done() {",
    },
    Bug {
        name: "P7: finished when the first branch acknowledged",
        file: "transaction/settle.rs",
        instead_of: "if !self.branches.iter().all(super::Branch::is_done) {",
        put: "if !self.branches.iter().any(super::Branch::is_done) {",
    },
    Bug {
        name: "an open transaction confirms although a Try is unanswered",
        file: "transaction/requests.rs",
        instead_of: "if !outstanding.is_empty() {",
        put: "if false {",
    },
    Bug {
        name: "a late answer to a Try counts as an acknowledgement",
        file: "transaction/answers.rs",
        instead_of: "if op == decided_op && !branch.is_done()",
        put: "if !branch.is_done()",
    },
    Bug {
        name: "P5: a restart cancels what could still be confirmed",
        file: "transaction/restore.rs",
        instead_of: "deadline: now.mono_at(stored.spec.deadline_at) }",
        put: "deadline: now.mono }",
    },
    Bug {
        name: "P5: a restart calls nobody",
        file: "transaction/restore.rs",
        instead_of: "branch.calling = Calling::Due(now.mono);",
        put: "",
    },
    Bug {
        name: "P5: a restart forgets that a registered branch was tried",
        file: "transaction/restore.rs",
        instead_of: "(None, BranchStatus::Registered) => Standing::Registered,",
        put: "(None, BranchStatus::Registered) => Standing::Tried,",
    },
    Bug {
        name: "a call that failed is not made again",
        file: "transaction/answers.rs",
        instead_of: "let pause = step.rules.backoff.pause(branch.trouble.failures, luck, pause);\n                branch.calling = Calling::Due(step.now.mono.after(pause));",
        put: "let _never = (luck, pause);\n                branch.calling = Calling::Idle;",
    },
    Bug {
        name: "a finished transaction is forgotten before that is durable",
        file: "engine/mod.rs",
        instead_of: "if needs > seq {",
        put: "if false {",
    },
    Bug {
        name: "P7: an operator's word does not wait for the call under way",
        file: "transaction/by_hand.rs",
        instead_of: "Calling::InFlight { .. } => true,",
        put: "Calling::InFlight { .. } => false,",
    },
    Bug {
        name: "P7: an operator's word is not written until everything is done",
        file: "transaction/by_hand.rs",
        instead_of: "            branch.write_row_into(step);\n",
        put: "",
    },
];
