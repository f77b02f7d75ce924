//! What the journal holds, counted.

use std::collections::BTreeMap;

use tercet_wire::{Gid, Incarnation, Status, Wall};

/// What the journal holds, counted at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalSummary {
    /// Transactions by status; a status that none has is left out.
    pub by_status: BTreeMap<Status, u64>,
    /// Transactions whose status is no word of ours: their rows are damaged, or a newer
    /// program wrote them.
    pub of_no_status: u64,
    /// Unfinished transactions of which a branch is shown to people.
    pub parked: u64,
    /// When the oldest unfinished transaction was begun.
    pub oldest_unfinished: Option<Wall>,
    /// What is held since the database was restored, while anything is.
    pub held: Option<Held>,
    /// The nodes that write into this journal, by name.
    pub nodes: Vec<NodeRow>,
}

/// What is held since a database was restored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Since when.
    pub since: Wall,
    /// Transactions that still are.
    pub transactions: u64,
    /// Those of them that are open.
    pub open: u64,
    /// Those whose deadline is over.
    pub past_deadline: u64,
    /// Those of these that a release cancels: they are open, and their initiator is not asked first.
    pub release_cancels: u64,
    /// The first of these, the oldest first.
    pub sample: Vec<Gid>,
}

/// How many that a release cancels are named.
pub(crate) const NAMED: u64 = 5;

/// A node, as it registered when it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub node_id: String,
    /// Where other nodes reach it.
    pub url: String,
    /// This life of it.
    pub incarnation: Incarnation,
    /// `live`, or what else was written there.
    pub state: String,
    /// Unfinished transactions that it drives.
    pub owned: u64,
    /// How many batches it has written.
    pub batches: u64,
    /// How it speaks to the others: [`NODE_PROTOCOL`](tercet_wire::NODE_PROTOCOL), or what that was
    /// in its version.
    pub protocol: i32,
    /// When it started, by its own clock.
    pub started_at: Wall,
    /// When it wrote last, by its own clock; of an earlier life if this one has not written yet.
    pub written_at: Option<Wall>,
}
