//! Bugs that came to light, or can, where everything meets: initiators that are asked, messages that
//! relays hand over, steps that leave memory and come back.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::{EngineTest, ModelOrRecovery, Simulation};

/// All of them.
pub(crate) const WORLD_BUGS: &[Bug] = &[
    Bug {
        name: "P2: an initiator is asked before its deadline",
        file: "crates/engine/src/transaction/asking.rs",
        instead_of: "self.deadline().is_some_and(|deadline| deadline <= now.mono)",
        put: "self.deadline().is_some()",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: what an initiator has done is cancelled at the deadline",
        file: "crates/engine/src/transaction/pattern.rs",
        instead_of: "let late = step.now.mono >= deadline && !self.asks_at_the_deadline();",
        put: "let late = step.now.mono >= deadline;",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: what an initiator never did is confirmed",
        file: "crates/engine/src/transaction/asking.rs",
        instead_of: "self.decide(Decision::Cancel { reason, detail }, step);",
        put: "let _unused = Decision::Cancel { reason, detail };\n                self.decide(Decision::Confirm, step);",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: what an initiator says that it never did is asked for without end",
        file: "crates/wire/src/verdict.rs",
        instead_of: "404 | 409 | 410 => Verdict::Refused,",
        put: "404 | 409 => Verdict::Refused,",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: a message is given up while the coordinator is away",
        file: "crates/participant-sdk/src/outbox/hand_over.rs",
        instead_of: "Told::Away { why, .. } => later(at_least_half(AWAY_PAUSE, attempts, entropy), cut(&why)),",
        put: "Told::Away { why, .. } => ended(OutboxState::Dead, Some(why)),",
        caught_by: Simulation,
    },
    Bug {
        name: "P7: a message is marked confirmed once the coordinator has it",
        file: "crates/participant-sdk/src/outbox/hand_over.rs",
        instead_of: "Told::Has(Status::Confirmed) => ended(OutboxState::Confirmed, None),",
        put: "Told::Has(Status::Confirmed | Status::Trying) => ended(OutboxState::Confirmed, None),",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: a message is followed only once",
        file: "crates/participant-sdk/src/outbox/hand_over.rs",
        instead_of: "OutboxState::Sent => later(at_least_half(FOLLOW_PAUSE, attempts, entropy), None),",
        put: "OutboxState::Sent => ended(OutboxState::Confirmed, None),",
        caught_by: Simulation,
    },
    Bug {
        name: "a step is undone, and its history does not say so",
        file: "crates/engine/src/transaction/advance.rs",
        instead_of: "if is_ordered && !std::mem::replace(branch.told_called.get_mut(op), true) {",
        put: "if is_ordered\n                && op != Op::Cancel\n                && !std::mem::replace(branch.told_called.get_mut(op), true)\n            {",
        caught_by: Simulation,
    },
    Bug {
        name: "P7: a Try of a saga that fails for long is shown to nobody",
        file: "crates/engine/src/transaction/pattern.rs",
        instead_of: "            Pattern::Saga => true,\n",
        put: "            Pattern::Saga => op != Op::Try,\n",
        caught_by: Simulation,
    },
    Bug {
        name: "one whose time has come stands for another that is put off",
        file: "crates/engine/src/transaction/paging.rs",
        instead_of: "CallState::Due(due) => branch.spec.confirm_after().map(|_| due.min(at)),",
        put: "CallState::Due(_) => None,",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "what is put off is so anew for less than a second",
        file: "crates/engine/src/transaction/paging.rs",
        instead_of: "let too_long = first.0.saturating_sub(at.0);",
        put: "let too_long = first.0.saturating_sub(at.0) / 1_000 * 1_000;",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "what is put off is so anew while another is waited for",
        file: "crates/engine/src/transaction/paging.rs",
        instead_of: "if let Some(until) = put_off {",
        put: "if let Some(until) = put_off.filter(|until| until.0 == 0) {",
        caught_by: ModelOrRecovery,
    },
    Bug {
        name: "P9: sagas that try take all the room",
        file: "crates/engine/src/engine/room.rs",
        instead_of: "(self.settings.live_transactions / 2, self.settings.live_bytes / 2)",
        put: "(self.settings.live_transactions, self.settings.live_bytes)",
        caught_by: EngineTest("saga_room"),
    },
    Bug {
        name: "a step is told to be called each time it is offered",
        file: "crates/engine/src/transaction/advance.rs",
        instead_of: "std::mem::replace(branch.told_called.get_mut(op), true)",
        put: "std::mem::replace(branch.told_called.get_mut(op), false)",
        caught_by: EngineTest("saga_room"),
    },
    Bug {
        name: "P9: a step that has left memory is told to be called again",
        file: "crates/engine/src/engine/unknown.rs",
        instead_of: "transaction.were_told(remembered.told);",
        put: "drop(remembered.told);",
        caught_by: EngineTest("saga_room"),
    },
    Bug {
        name: "P8: what comes back into memory in its last round begins new steps",
        file: "crates/engine/src/engine/unknown.rs",
        instead_of: "        transaction.goes_on_in_its_round(now);\n",
        put: "",
        caught_by: EngineTest("saga_room"),
    },
    Bug {
        name: "P6: a step waits for its participant before its turn",
        file: "crates/engine/src/transaction/paging.rs",
        instead_of: "!branch.is_done() && turn.includes(*position) && !is_put_off(branch)",
        put: "!branch.is_done() && (turn.includes(*position) || *position < 64) && !is_put_off(branch)",
        caught_by: EngineTest("saga_room"),
    },
    Bug {
        name: "P9: a batch counts no names of steps that come before others",
        file: "crates/engine/src/group_commit/batch.rs",
        instead_of: "branch.after().into_iter().flatten().map(|id| id.as_str().len() + 3).sum();",
        put: "branch.after().into_iter().flatten().map(|_| 0).sum();",
        caught_by: EngineTest("saga_room"),
    },
    Bug {
        name: "P7: after a take-over people are told of an initiator that was not asked yet",
        file: "crates/engine/src/transaction/asking.rs",
        instead_of: "                Some(None) => now.mono,\n                Some(Some(_)) | None => {",
        put: "                Some(None | Some(_)) | None => {",
        caught_by: EngineTest("check"),
    },
    Bug {
        name: "P7: initiators in doubt are forgotten with what is decided",
        file: "crates/engine/src/engine/paging/paged_out.rs",
        instead_of: "        self.decided = Shares::default();\n",
        put: "        self.decided = Shares::default();\n        self.undecided = Shares::default();\n",
        caught_by: EngineTest("check"),
    },
];
