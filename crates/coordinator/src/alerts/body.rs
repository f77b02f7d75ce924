//! An alert as it goes over the wire: how many there are and the first of them one by one, or how it
//! stands with a participant that does not answer; and what to do.

use serde::Serialize;
use tercet_wire::Wall;

use super::news::{OutageReport, ParkedBranch, Quarantined};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Kind {
    /// Branches have just been parked.
    #[serde(rename = "branches.parked")]
    Parked,
    /// A participant does not answer.
    #[serde(rename = "participant.unreachable")]
    Unreachable,
    /// It answers again.
    #[serde(rename = "participant.reachable")]
    Reachable,
    /// Transactions were quarantined.
    #[serde(rename = "transactions.quarantined")]
    Quarantined,
}

impl Kind {
    /// What whoever is woken by it can do.
    fn what_to_do(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "Bring the participant back: it is probed without end, and what waits for it goes on \
                 by itself. GET /v1/participants shows how it is called, \
                 /v1/transactions?participant={participant} what waits."
            }
            Self::Reachable => "Nothing: what has waited for it goes on by itself.",
            Self::Parked => {
                "The decision stands and the calls go on: repair the participant and these finish \
                 by themselves. GET /v1/transactions/{gid} shows last_answer, last_error and next_attempt_at, \
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
    #[serde(flatten)]
    what: What,
    what_to_do: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum What {
    Several(Several),
    Outage(OutageReport),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Several {
    /// Whom all of it concerns, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<String>,
    /// How many there are, with those of earlier alerts about the same; `items` has the first of
    /// those that are new.
    count: u64,
    items: Vec<Item>,
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
        Self::of(kind, timestamp, What::Several(Several { participant, count, items }))
    }

    /// A participant does not answer, or does again.
    pub(super) fn of_outage(kind: Kind, timestamp: Wall, report: OutageReport) -> Self {
        Self::of(kind, timestamp, What::Outage(report))
    }

    fn of(kind: Kind, timestamp: Wall, what: What) -> Self {
        Self { kind, timestamp, data: Data { what, what_to_do: kind.what_to_do() } }
    }
}
