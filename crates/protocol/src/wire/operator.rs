//! What operators send and are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dispatch::ParticipantHealth;
use crate::engine::input::Resolution;
use crate::ids::BranchId;
use crate::status::{ResolvedAs, Status};
use crate::time::Wall;
use crate::wire::Invalid;

/// The longest note, in bytes.
const NOTE_BYTES: usize = 1_024;

/// Ends a branch by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// What the branch is to count as. It need not be what was decided.
    #[serde(rename = "as")]
    pub as_: ResolvedAs,
    /// Why, for the history. At most 1 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Checks an operator's word about a branch.
///
/// # Errors
/// The note is too long.
pub fn check_resolve(
    request: ResolveRequest,
    branch: BranchId,
    who: Arc<str>,
) -> Result<Resolution, Invalid> {
    let ResolveRequest { as_, note } = request;
    if let Some(note) = note.as_deref().filter(|note| note.len() > NOTE_BYTES) {
        let what = format!("must be at most {NOTE_BYTES} bytes long, this has {}", note.len());
        return Err(Invalid::new("note", what));
    }
    Ok(Resolution { branch, as_, note: note.map(Arc::from), who })
}

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
    pub participant: String,
    /// Calls under way.
    pub in_flight: u64,
    /// Calls that wait for their turn.
    pub waiting: u64,
    /// `closed`: it is called freely. `open`: it is only probed. `half-open`: it answers again,
    /// and calls become more.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "closed"))]
    pub breaker: String,
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that spoke against its health: no answer, 502, 503 or 504.
    pub failures: u64,
    /// Failures by calls, from 0 to 1; 0 before the first call.
    pub failure_rate: f64,
}

impl From<ParticipantHealth> for ParticipantView {
    fn from(health: ParticipantHealth) -> Self {
        let ParticipantHealth { participant, in_flight, waiting, breaker, calls, failures } =
            health;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let rate = if calls == 0 { 0.0 } else { failures as f64 / calls as f64 };
        Self {
            participant,
            in_flight: count(in_flight),
            waiting: count(waiting),
            breaker: breaker.as_str().to_owned(),
            calls,
            failures,
            // Three places say all that can be told apart by eye.
            failure_rate: (rate * 1_000.0).round() / 1_000.0,
        }
    }
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
    pub oldest_unfinished_seconds: Option<f64>,
    /// Transactions that are not driven after a fault of ours, or because their rows cannot be
    /// understood; the log names them. Counted by this node.
    pub set_aside: u64,
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
