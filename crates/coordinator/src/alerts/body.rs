//! An alert as it goes over the wire. Every kind has the same shape: how many, the first of
//! them one by one, and what to do.

use serde::Serialize;
use tercet_wire::Wall;

use super::news::{ParkedBranch, Quarantined};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Kind {
    /// Branches have just been parked.
    #[serde(rename = "branches.parked")]
    Parked,
    /// Branches were found parked at a start.
    #[serde(rename = "branches.parked")]
    FoundParked,
    /// Transactions were quarantined.
    #[serde(rename = "transactions.quarantined")]
    Quarantined,
}

impl Kind {
    /// What whoever is woken by it can do.
    fn what_to_do(self) -> &'static str {
        match self {
            Self::Parked | Self::FoundParked => {
                "The decision stands and the calls go on: repair the participant and these finish \
                 by themselves. GET /v1/transactions/{gid} shows last_error and next_attempt_at, \
                 /v1/transactions/{gid}/events what happened. POST /v1/transactions/{gid}/retry \
                 calls at once. If a branch can never acknowledge, set the books right at the \
                 participant and end it with POST /v1/transactions/{gid}/branches/{branch}/resolve."
            }
            Self::Quarantined => {
                "All other transactions go on. Keep a copy of the database and the log, and \
                 report it. A restart takes a transaction up again; one whose rows cannot be \
                 understood needs its rows mended first."
            }
        }
    }
}

/// What goes over the wire, in the form that Standard Webhooks recommends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Body {
    #[serde(rename = "type")]
    kind: Kind,
    /// When the first of it happened.
    timestamp: Wall,
    data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Data {
    /// Whom all of it concerns, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<String>,
    /// Whether they were parked before this node started; absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    found_at_start: bool,
    /// How many there are; `items` has the first of them.
    count: u64,
    items: Vec<Item>,
    what_to_do: &'static str,
}

/// One of what an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Item {
    /// A parked branch.
    Branch(ParkedBranch),
    /// A transaction that was quarantined.
    Transaction(Quarantined),
}

impl Body {
    pub(super) fn new(
        kind: Kind,
        timestamp: Wall,
        participant: Option<String>,
        count: u64,
        items: Vec<Item>,
    ) -> Self {
        let what_to_do = kind.what_to_do();
        let found_at_start = kind == Kind::FoundParked;
        let data = Data { participant, found_at_start, count, items, what_to_do };
        Self { kind, timestamp, data }
    }
}
