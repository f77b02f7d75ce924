//! What is told of jobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ActId, Gid};
use crate::response::view::SummaryView;
use crate::status::{JobAction, JobState, ResolvedAs, Status};
use crate::time::Wall;

/// What a job would find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MatchedView {
    /// Unfinished transactions that the filter finds now.
    pub matched: u64,
    /// How many of them there are of each status. Of what is `confirming` `cancel` cancels none
    /// (`already-confirmed`), and of what is `trying` `resolve` ends none (`not-decided`).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, u64>, required = true))]
    pub by_status: BTreeMap<Status, u64>,
    /// The first five of them, the oldest first.
    pub sample: Vec<SummaryView>,
}

impl MatchedView {
    /// How many of them an action leaves as they are.
    #[must_use]
    pub fn left_out(&self, action: JobAction) -> u64 {
        let left_out = self.by_status.iter().filter(|(status, _)| action.leaves_out(**status));
        left_out.map(|(_, count)| count).sum()
    }
}

/// A job that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BegunJobView {
    /// Its id, a UUID: also that of its row in the audit.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ActId,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedJobView {
    /// Its id, a UUID.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ActId,
    /// What is done to each transaction.
    pub action: JobAction,
    /// What branches are to count as; null but of `resolve`.
    #[serde(rename = "as")]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub as_: Option<ResolvedAs>,
    /// Which transactions.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub filter: Map<String, Value>,
    /// Why, in the operator's words.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub note: Option<String>,
    /// Who began it.
    #[cfg_attr(feature = "openapi", schema(example = "alice"))]
    pub who: String,
    /// How far it is.
    pub state: JobState,
    /// Transactions that it has found. It grows until all are found, which comes first.
    pub matched: u64,
    /// Those of them to which it was done.
    pub done: u64,
    /// Those to which it could not be done.
    pub failed_total: u64,
    /// When it was begun.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Wall,
    /// When it ended; null until then.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, required = true))]
    pub ended_at: Option<Wall>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobView {
    /// As in a list.
    #[serde(flatten)]
    pub job: ListedJobView,
    /// The first 1 000 of those to which it could not be done.
    pub failed: Vec<JobFailureView>,
}

/// A transaction to which a job could not do what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobFailureView {
    /// Which.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub gid: Gid,
    /// The code of the problem that one who asked it would be told.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::ProblemCode))]
    pub code: String,
}
