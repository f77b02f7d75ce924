//! An alert as it goes over the wire: how many there are and the first of them one by one, or how it
//! stands with a participant that does not answer; and what to do.

use serde::Serialize;
use tercet_wire::Wall;

use super::news::{NodeReport, OutageReport, ParkedBranch, Quarantined};

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
    /// A node was fenced.
    #[serde(rename = "node.fenced")]
    NodeFenced,
    /// The database lost what it had acknowledged.
    #[serde(rename = "database.went-back")]
    DatabaseWentBack,
    /// Nobody drives these, and nobody can take them over.
    #[serde(rename = "transactions.orphaned")]
    Orphaned,
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
                "What was decided stands and the calls go on: repair the participant and these finish \
                 by themselves. GET /v1/transactions/{gid} shows last_answer, last_error and next_attempt_at, \
                 /v1/transactions/{gid}/events what happened. POST /v1/transactions/{gid}/retry \
                 calls at once. If a branch can never acknowledge, set the books right at the \
                 participant and end it with POST /v1/transactions/{gid}/branches/{branch}/resolve. A step of a \
                 saga that is still tried is ended with POST /v1/transactions/{gid}/cancel, or by its deadline."
            }
            Self::Quarantined => {
                "All other transactions go on. Keep a copy of the database and the log, and \
                 report it. A restart takes a transaction up again; one whose rows cannot be \
                 understood needs its rows mended first."
            }
            Self::NodeFenced => {
                "The other nodes drive on what it drove, and it joins again by itself if it only was \
                 slow. See why it was: its log, its machine, its way to the database. GET /v1/stats \
                 shows the nodes."
            }
            Self::Orphaned => {
                "See the log of the nodes for take_over_failed and journal_unavailable: the database \
                 does not let them take these over. Are there triggers, or locks held by others?"
            }
            Self::DatabaseWentBack => {
                "Find out what has taken the database's place: a replica that was behind, or a backup. \
                 Decisions that were told may be lost: compare the participants' books. Replicate \
                 synchronously if that may not be."
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
    Node(NodeReport),
    Orphans { count: usize },
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

    /// Nobody drives so many.
    pub(super) fn of_orphans(timestamp: Wall, count: usize) -> Self {
        Self::of(Kind::Orphaned, timestamp, What::Orphans { count })
    }

    /// Something has happened to a node.
    pub(super) fn of_node(kind: Kind, timestamp: Wall, report: NodeReport) -> Self {
        Self::of(kind, timestamp, What::Node(report))
    }

    fn of(kind: Kind, timestamp: Wall, what: What) -> Self {
        Self { kind, timestamp, data: Data { what, what_to_do: kind.what_to_do() } }
    }
}
