//! What operators are shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::status::{BreakerState, Status};
use crate::time::Wall;

/// How many transactions had called at once what was waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetriedView {
    /// Unfinished transactions that the filter found.
    pub retried: u64,
}

/// How it stands with the participants that were called not long ago.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParticipantsView {
    /// By name.
    pub items: Vec<ParticipantView>,
}

/// How it stands with one participant. Counted by this node since it started; a participant
/// that is not called for long may be forgotten and begin again at nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParticipantView {
    /// Its `host:port`.
    #[cfg_attr(feature = "openapi", schema(example = "127.0.0.1:7302"))]
    pub participant: String,
    /// Calls under way.
    pub in_flight: u64,
    /// Calls that wait for their turn.
    pub waiting: u64,
    /// How freely it is called: the worst of its destinations'.
    pub breaker: BreakerState,
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that are made again: no answer, or one that is no success. A Try that was
    /// refused is answered, and "in progress" is none.
    pub failures: u64,
    /// Failures by calls, from 0 to 1; 0 before the first call.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1))]
    pub failure_rate: f64,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatsView {
    /// Transactions by status; every status is there. Finished ones count until the
    /// retention deletes them.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, u64>))]
    pub by_status: BTreeMap<Status, u64>,
    /// Unfinished transactions that need people.
    pub parked: u64,
    /// Age of the oldest unfinished transaction, in seconds; null if there is none.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub oldest_unfinished_seconds: Option<f64>,
    /// Transactions that are not driven after a fault of ours, or because their rows cannot be
    /// understood; the log names them. Counted by this node.
    pub quarantined: u64,
    /// The nodes that write into this journal.
    pub nodes: Vec<NodeView>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeView {
    /// Its name.
    pub id: String,
    /// Where it listens.
    pub url: String,
    /// `live`, or what has become of it.
    pub state: String,
    /// When it started, by its own clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Wall,
}
