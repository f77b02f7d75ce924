//! What the journal tells the runtime, and how much the runtime presses it.

use tercet_wire::{Gid, Incarnation, Seq};

use crate::engine::input::Load;

/// What the journal tells the runtime. Always in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JournalEvent {
    /// Every record up to here is durable.
    Durable(Seq),
    /// The gid of a `Begun` record is taken by another instance; none of this
    /// instance's records were or will be written. Comes before the `Durable` that covers it.
    Exists(Gid),
    /// The database rejects the records of this transaction, or they do not fit its rows: a
    /// fault of ours. Its rows stay as they were last durable, none of its further records
    /// are written, and no effect of it may be let out. Comes before the `Durable` that
    /// covers the first record left out.
    Quarantined(Gid),
    /// A chunk of a dead life's transactions is going to be submitted: whoever finds them among
    /// this life's rows from now on knows how they came there.
    TakingOver {
        /// The life that drove them.
        dead: Incarnation,
        /// Which they are.
        gids: Vec<Gid>,
    },
    /// What became of the chunk that was announced first: these are this life's now, durably.
    TakenOver {
        /// The life that drove them.
        dead: Incarnation,
        /// Which they are; none if others came first.
        gids: Vec<Gid>,
    },
    /// The answer to a load.
    Loaded(Gid, Load),
    /// The answer to a page request: gids in order, none if there are no more.
    PageOfGids(Vec<Gid>),
    /// A batch could not be written; it is submitted again until it can be.
    Failing {
        /// What the database said.
        why: String,
    },
    /// Batches are written again.
    Healed,
    /// This incarnation was fenced: nothing more will be written. Drop the engine and recover.
    Fenced,
}

/// How soon records are to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Urgency {
    /// Nobody waits for them: with the next that somebody waits for, or a few milliseconds
    /// later.
    #[default]
    Linger,
    /// Somebody waits for one of them, or for one appended before.
    Now,
}
