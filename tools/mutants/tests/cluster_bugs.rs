//! The bugs of several nodes on one set of rows.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::{EngineTest, Simulation};

pub(crate) const CLUSTER_BUGS: &[Bug] = &[
    Bug {
        name: "P2: no fence: a life that was fenced writes on",
        file: "crates/engine/src/cluster/lives.rs",
        instead_of: "let may = |row: &&mut LifeRow| row.state == LifeState::Live && row.batch_no == number - 1;",
        put: "let may = |row: &&mut LifeRow| row.batch_no == number - 1;",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: the marker does not compare with what was seen",
        file: "crates/engine/src/cluster/lives.rs",
        instead_of: "row.state == LifeState::Live && row.batch_no == seen;",
        put: "row.state == LifeState::Live && row.batch_no >= seen;",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: who is silent is taken over from without a marker",
        file: "crates/engine/src/cluster/take_over.rs",
        instead_of: "SuspectedFor::Silence { batch_no } => Stage::Mark { batch_no },",
        put: "SuspectedFor::Silence { .. } => Stage::Passes,",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: what another life drives is taken for this one's",
        file: "crates/engine/src/engine/input.rs",
        instead_of: "Some(owner) if owner != own => Self::Elsewhere { owner, stored },",
        put: "Some(owner) if owner != own && stored.history_len == u32::MAX => Self::Elsewhere { owner, stored },",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: adopted before the chunk is durable",
        file: "crates/engine/src/engine/arrivals.rs",
        instead_of: "self.arrivals.announced.push_back(Chunk { number, dead, gids });",
        put: "self.arrivals.announced.push_back(Chunk { number, dead, gids: gids.clone() }); self.taken_over(gids);",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: what one chunk did not get is not awaited of another",
        file: "crates/engine/src/engine/arrivals.rs",
        instead_of: "!arrival.durable && arrival.last <= chunk.number",
        put: "!arrival.durable && (arrival.last <= chunk.number || arrival.last > chunk.number)",
        caught_by: EngineTest("taken_over"),
    },
    Bug {
        name: "P4: what could not be read after a take-over is read no more",
        file: "crates/engine/src/engine/arrivals.rs",
        instead_of: "self.to_ask.push_back(gid.clone());\n            self.not_before = now.after(AGAIN);",
        put: "self.known.remove(gid); let _ = now.after(AGAIN);",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: what a late begin is in the way of is read no more",
        file: "crates/engine/src/engine/unknown.rs",
        instead_of: "self.arrivals.has_room(gid);",
        put: "self.arrivals.take(gid);",
        caught_by: EngineTest("taken_over"),
    },
    Bug {
        name: "P4: the row of a dead life is deleted while transactions point to it",
        file: "crates/engine/src/cluster/lives.rs",
        instead_of: "let ends = is_over && !owns_any;",
        put: "let ends = is_over && (owns_any || !owns_any);",
        caught_by: EngineTest("lives"),
    },
    Bug {
        name: "a life whose row is as its fence wanted it is taken for fenced",
        file: "crates/engine/src/cluster/lives.rs",
        instead_of: "row.batch_no == number - 1 {\n        Judgement::Again",
        put: "row.batch_no == number - 1 {\n        Judgement::Fenced",
        caught_by: Simulation,
    },
    Bug {
        name: "P2: the guard of a change does not look at the owner",
        file: "crates/engine/src/stored.rs",
        instead_of: "match self.owner.filter(|owner| *owner != own) {",
        put: "match self.owner.filter(|owner| *owner != own && owner.0 == i64::MIN) {",
        caught_by: EngineTest("elsewhere"),
    },
    Bug {
        name: "a silence is counted while the database takes no writes",
        file: "crates/engine/src/cluster/watch.rs",
        instead_of: "own.batch_no > batch_no);",
        put: "own.batch_no >= batch_no);",
        caught_by: Simulation,
    },
    Bug {
        name: "P8: a slow look counts as a silence",
        file: "crates/engine/src/cluster/watch.rs",
        instead_of: "from: moment.answered };",
        put: "from: moment.asked };",
        caught_by: EngineTest("watch"),
    },
    Bug {
        name: "P7: who asks later than the journal looked is told that there is nothing",
        file: "crates/engine/src/engine/unknown.rs",
        instead_of: "match place < asked_for || begins {",
        put: "match place < asked_for || begins || place < usize::MAX {",
        caught_by: Simulation,
    },
    Bug {
        name: "P7: who waits at a life that is fenced is never answered",
        file: "crates/engine/src/core.rs",
        instead_of: "self.engine.give_up_all(&mut output);",
        put: "",
        caught_by: Simulation,
    },
    Bug {
        name: "P4: a life leaves before all is written",
        file: "crates/engine/src/group_commit/mod.rs",
        instead_of: "let number = self.number + 1;\n        // Batches",
        put: "let number = self.number + 1;\n        if self.leaving == Leaving::Asked { return Some(Submission::leave(number, now)); }\n        // Batches",
        caught_by: Simulation,
    },
];
