//! How a journal is opened.

use std::fmt;
use std::time::Duration;

use tercet_wire::{Backoff, Incarnation};

/// How a journal is opened.
#[derive(Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// Where the database is: `sqlite://PATH`, relative to the working directory or absolute (the
    /// file is made if it is missing), `postgres://…` or `mysql://…`. Unused by a journal in
    /// memory.
    pub database_url: String,
    /// The node's name, the same across its restarts.
    pub node_id: String,
    /// Where other nodes reach this one.
    pub node_url: String,
    /// This life of the node: random, never used before.
    pub incarnation: Incarnation,
    /// Most records in a batch.
    pub batch_records: usize,
    /// Most bytes in a batch, unless a single record has more.
    pub batch_bytes: usize,
    /// Most reads for people at once: lists, histories, counts. The node's own have connections
    /// of their own.
    pub read_connections: u32,
    /// Whether the release before this one may have to use the database again: then what begins is written
    /// where that one finds it.
    pub can_go_back: bool,
    /// How long each of these may take, its wait for the others included.
    pub read_within: Duration,
    /// Bytes of payloads and headers read at once, unless a single transaction has more.
    pub page_bytes: u64,
    /// How long what nobody waits for may wait for what somebody does. A transaction's last
    /// record is such, so that with few under way a third of all commits is saved.
    pub linger: Duration,
    /// The pauses before a batch that failed is submitted again.
    pub resubmit: Backoff,
    /// How long a node writes nothing at most. What it writes then is its sign of life: its
    /// next life takes the time since for the time it was down, and a journal that has become
    /// unwritable while nobody needed it is noticed.
    pub longest_silence: Duration,
    /// The same where several nodes use one database, so that each shows the others that it is
    /// there. A life of this node's name that gives no sign for two of them is taken to be over
    /// when a new one starts: all nodes on a database should have the same.
    pub heartbeat: Duration,
    /// How long the node may have been down. When its clock says that it was longer, the clock
    /// is in doubt, and nothing is deleted by it.
    pub longest_downtime: Duration,
    /// How long finished transactions are kept.
    pub retention: Retention,
}

impl JournalSettings {
    /// The defaults for one life of a node on a database.
    #[must_use]
    pub fn new(database_url: &str, node_id: &str, incarnation: Incarnation) -> Self {
        Self {
            database_url: database_url.to_owned(),
            node_id: node_id.to_owned(),
            node_url: String::new(),
            incarnation,
            batch_records: 512,
            batch_bytes: 4 * 1024 * 1024,
            read_connections: 4,
            can_go_back: false,
            read_within: Duration::from_secs(5),
            page_bytes: 16 * 1024 * 1024,
            // The cap is what recovery takes once there is room again, and everybody waits for it;
            // asking a full disk some times a second costs nothing.
            resubmit: Backoff { first: Duration::from_millis(50), cap: Duration::from_millis(500) },
            linger: Duration::from_millis(10),
            longest_silence: Duration::from_secs(60),
            heartbeat: Duration::from_millis(500),
            longest_downtime: Duration::from_hours(1),
            retention: Retention::default(),
        }
    }
}

/// The address of a database may hold a password, so it is not shown.
impl fmt::Debug for JournalSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalSettings")
            .field("node_id", &self.node_id)
            .field("node_url", &self.node_url)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// How long finished transactions are kept. Unfinished ones are kept whatever their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// From the finish until branches, payloads and history are deleted.
    pub branches: Duration,
    /// From the finish until the transaction is forgotten and its gid is free again.
    pub transactions: Duration,
    /// How long it is kept what operators did.
    pub audit: Duration,
    /// How long jobs are kept after their end. What they have come to is not kept as long.
    pub jobs: Duration,
    /// Most finished transactions kept; beyond it the oldest go first, whatever their age.
    pub max_finished: u64,
    /// From the end of one round of deleting to the next.
    pub every: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            branches: DAY * 7,
            transactions: DAY * 30,
            audit: DAY * 365,
            jobs: DAY * 30,
            max_finished: 5_000_000,
            every: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let url = "postgres://tercet:hunter2@db.internal/tercet";
        let settings = JournalSettings::new(url, "one", Incarnation(1));
        let shown = format!("{settings:?}");
        assert!(shown.contains("one") && !shown.contains("hunter2"), "{shown}");
    }
}
