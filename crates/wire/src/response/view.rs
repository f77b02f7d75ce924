//! Bodies of answers.

use serde::{Deserialize, Deserializer, Serialize};

use crate::branch_result::JsonText;
use crate::ids::{BranchId, Gid, Instance};
use crate::op::{CallOp, Op, PerOp};
use crate::spec::SagaVersion;
use crate::status::{BranchStatus, EventKind, Pattern, Reason, ResolvedAs, Status};
use crate::time::Wall;
use crate::trace_id::TraceId;

/// Calls made, by leg.
pub type AttemptsView = PerOp<u32>;

/// Where the calls of a branch go. What it does not have is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UrlsView {
    /// Its Try.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub try_: Option<String>,
    /// Its Confirm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Its Cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
}

impl UrlsView {
    /// Each that there is.
    pub fn iter(&self) -> impl Iterator<Item = (Op, &str)> {
        let all = [(Op::Try, &self.try_), (Op::Confirm, &self.confirm), (Op::Cancel, &self.cancel)];
        all.into_iter().filter_map(|(op, url)| Some((op, url.as_deref()?)))
    }
}

/// A transaction with its branches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionView {
    /// Everything but the branches.
    #[serde(flatten)]
    pub summary: SummaryView,
    /// The trace that it and its calls belong to: that of its `traceparent`, or its own; absent where its
    /// details were deleted for their age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[0-9a-f]{32}$", example = "0af7651916cd43dd8448eb211c80319c"))]
    pub trace_id: Option<TraceId>,
    /// The branches, by position.
    pub branches: Vec<BranchView>,
}

/// Branches that were registered at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BranchesView {
    /// In the order in which they were sent.
    pub branches: Vec<BranchView>,
}

/// What was registered: a branch as it was sent alone, or all of those sent at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum RegisteredView {
    /// One.
    One(Box<BranchView>),
    /// Several.
    Several(BranchesView),
}

/// A transaction without its branches, as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SummaryView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$", example = "order-1001"))]
    pub gid: Gid,
    /// Which life of the gid (UUIDv7).
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "01938d1c-7f00-7abc-8def-0123456789ab"))]
    pub instance: Instance,
    /// Its shape.
    pub pattern: Pattern,
    /// Where it stands.
    pub status: Status,
    /// Whether the initiator registers branches and asks for the decision.
    pub open: bool,
    /// Why it was cancelled.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub reason: Option<Reason>,
    /// Why, in the caller's words.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub reason_detail: Option<String>,
    /// Whether a branch needs people.
    pub parked: bool,
    /// Whether an operator resolved a branch as the opposite of what was decided, or its participant
    /// said otherwise afterwards; absent if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mixed: bool,
    /// Whether it was undecided in the backup that the database was restored from, and is held: nothing of
    /// it is called, cancelled or expires until an operator decides it by name or releases all; absent if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held: bool,
    /// Who is asked at the deadline what became of it; absent where nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "http://127.0.0.1:7310/outbox/check"))]
    pub check: Option<String>,
    /// The definition it is a run of; absent where it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<SagaVersion>,
    /// When it was accepted.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Wall,
    /// When it is cancelled if nothing has been decided.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub deadline_at: Wall,
    /// When the decision was taken.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, required = true))]
    pub decided_at: Option<Wall>,
    /// When everyone had acknowledged.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, required = true))]
    pub finished_at: Option<Wall>,
    /// The initiator's own data.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, required = true))]
    pub metadata: Option<serde_json::Value>,
    /// How many branches it has, in lists only; 0 once the retention has deleted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_count: Option<u32>,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BranchView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]*$", example = "payment"))]
    pub id: BranchId,
    /// `host:port` of its Confirm, else Try, else Cancel.
    #[cfg_attr(feature = "openapi", schema(example = "127.0.0.1:7302"))]
    pub participant: String,
    /// Ids of the branches of its saga that come right before it; absent where there is no order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub after: Option<Vec<BranchId>>,
    /// Where it stands.
    pub status: BranchStatus,
    /// Whether it needs people.
    pub parked: bool,
    /// Calls made so far.
    pub attempts: AttemptsView,
    /// When it is called next; null while a call is in flight, when none is due, and while its
    /// participant is paused.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, required = true))]
    pub next_attempt_at: Option<Wall>,
    /// Whether the call that it needs waits until its participant is resumed, whatever is retried
    /// meanwhile; absent if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// How the last call failed, if it did.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub last_error: Option<String>,
    /// The last answer of a Try that was refused or failed.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub answer: Option<AnswerView>,
    /// What its Try was answered with, where that is kept: the body where it is JSON, null where it
    /// is empty, else a string. Shown where one transaction is, and not to viewers.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub result: Option<JsonText>,
    /// What it is sent, to the byte. Shown to operators who ask for it with `include=payload`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub payload: Option<JsonText>,
    /// Where each of its calls goes. Shown with the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<UrlsView>,
    /// The last answer to any of its calls that had a status and was neither a success nor 202.
    #[serde(default)]
    pub last_answer: Option<LastAnswerView>,
    /// How an operator ended it.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub resolved_as: Option<ResolvedAs>,
    /// How an operator will have ended it, once the call that is under way ends or two seconds
    /// have passed.
    #[serde(default)]
    pub pending_resolution: Option<PendingResolutionView>,
    /// When it acknowledged the decision. Of one that acknowledges shortly before the last one does, that becomes
    /// when the transaction finishes.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime, required = true))]
    pub finished_at: Option<Wall>,
}

/// The last answer of a Try that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerView {
    /// The HTTP status; null if none arrived.
    #[cfg_attr(feature = "openapi", schema(required = true, minimum = 100, maximum = 999))]
    pub status: Option<u16>,
    /// The beginning of the body, at most 1 KiB; without a status, why none arrived.
    pub body: String,
}

/// The last answer to a call of a branch that had a status and was neither a success nor 202.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastAnswerView {
    /// To which call.
    pub op: Op,
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body, at most 1 KiB.
    pub body: String,
    /// When it came.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Wall,
}

/// An operator's word about a branch that has not taken effect yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingResolutionView {
    /// What the branch will count as.
    #[serde(rename = "as")]
    pub as_: ResolvedAs,
    /// Who said so.
    pub by: String,
    /// Why, in the operator's words.
    pub note: Option<String>,
    /// When it was said.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Wall,
}

/// A line of a transaction's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventView {
    /// When.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Wall,
    /// What.
    pub kind: EventKind,
    /// Which branch, if one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required = true))]
    pub branch: Option<BranchId>,
    /// Which call, if one.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub op: Option<CallOp>,
    /// Which attempt of it.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub attempt: Option<u32>,
    /// In words.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub detail: Option<String>,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Ask with `cursor=` this for what follows; null at the end.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub next_cursor: Option<String>,
}

/// `null` is a result, and a payload, unlike an absent one.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<JsonText>, D::Error> {
    JsonText::deserialize(from).map(Some)
}

/// What is nearly never true is left out where it is not.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes every field by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
