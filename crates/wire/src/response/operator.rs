//! What operators are shown.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::ids::Gid;
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
    /// Branches, and initiators that are to be asked (`check`), that wait for a call to it: for their turn,
    /// or until it is called again.
    pub waiting: u64,
    /// Branches that need a call to it and are shown to people; and initiators that it answers for, who
    /// do not say what became of their transaction (`check`), whom `participant` of a list does not find.
    pub parked: u64,
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
    /// What the calls came to, all legs together.
    pub answers: AnswersView,
    /// Who has had it called no more, while it is not; null while it is.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub paused: Option<PausedView>,
}

/// A participant that an operator has just had paused, or resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PausedParticipantView {
    /// How it stands with it.
    #[serde(flatten)]
    pub participant: ParticipantView,
    /// Whether this node has called it since it started, or a branch waits for it. If not, the name
    /// may be wrong, or it is yet to come.
    #[serde(default)]
    pub known: bool,
    /// Whether this request has changed it. If not it was so before, and `paused` says who has said so
    /// first, when and why: that stays.
    #[serde(default)]
    pub changed: bool,
}

/// That nobody calls a participant, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PausedView {
    /// Who.
    pub by: String,
    /// Why, in the operator's words.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub note: Option<String>,
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Wall,
}

/// What calls came to: as the `result` of `tercet_branch_calls_total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswersView {
    /// The participant has done it.
    pub done: u64,
    /// A Try was refused.
    pub refused: u64,
    /// The participant is at it.
    pub in_progress: u64,
    /// An answer that time may mend: an overload, a fault of the participant's.
    pub transient_error: u64,
    /// An answer that cannot become right by itself.
    pub permanent_error: u64,
    /// The reservation is gone.
    pub reservation_lost: u64,
    /// No answer.
    pub unanswered: u64,
}

impl AddAssign for AnswersView {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
        self.in_progress += other.in_progress;
        self.transient_error += other.transient_error;
        self.permanent_error += other.permanent_error;
        self.reservation_lost += other.reservation_lost;
        self.unanswered += other.unanswered;
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
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub oldest_unfinished_seconds: Option<f64>,
    /// Transactions that are not driven after a fault of ours, or because their rows cannot be
    /// understood; the log names them. Counted by this node.
    pub quarantined: u64,
    /// What is held since the database was restored; null where nothing is.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub restored: Option<RestoredView>,
    /// The nodes that write into this journal.
    pub nodes: Vec<NodeView>,
}

/// What is held since the database was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoredView {
    /// Since when.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub held_since: Wall,
    /// Transactions that are held: they were undecided in the backup, and still are.
    pub held: u64,
    /// Those of them that are open: their initiator was to decide them.
    #[serde(default)]
    pub open: u64,
    /// Those of `held` whose deadline is over. Released, one that is not open gets one more round of Try, and is
    /// cancelled if that does not complete it.
    #[serde(default)]
    pub past_deadline: u64,
    /// Those of `past_deadline` that are open and have no `check`: a release cancels them, though their
    /// initiator may have confirmed them since the backup.
    #[serde(default)]
    pub release_cancels: u64,
    /// The first five of those that a release cancels, the oldest first.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, max_items = 5))]
    pub sample: Vec<Gid>,
}

/// What was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleasedView {
    /// Transactions that were held until now; none where nothing was.
    pub released: u64,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeView {
    /// Its name.
    pub id: String,
    /// Where it listens.
    pub url: String,
    /// `live`, or what has become of it: `left`, `fenced`.
    pub state: String,
    /// Unfinished transactions that it drives.
    pub owned: u64,
    /// Milliseconds since the node that tells has first seen it as it is: beyond the lease it is
    /// taken for dead. Null where there are no others.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub unchanged_ms: Option<u64>,
    /// How it speaks to the other nodes; the same on all once each was replaced by a newer one.
    pub protocol: i32,
    /// When it started, by its own clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Wall,
}
