//! What Tercet says over HTTP, and what a participant's answer means: ids, times, header names,
//! bodies of requests and responses, problems, the verdict. Initiators, participants and the
//! coordinator all stand on this; it knows neither the rules of a transaction nor any IO.

mod backoff;
mod branch_result;
mod call_rules;
pub mod header;
mod hex;
mod ids;
mod job;
pub mod metric;
mod op;
mod operator;
mod order;
mod problem;
mod request;
mod response;
mod retry_after;
#[cfg(feature = "openapi")]
mod schema;
mod signature;
mod signed_host;
mod spec;
mod status;
mod steady_wall;
mod text;
mod time;
mod trace_id;
mod verdict;

pub use backoff::{Backoff, spread};
pub use branch_result::{BranchResult, JsonText, RESULT_BYTES, RESULTS_BYTES, body_with_results};
pub use call_rules::{CallRule, CallRules, InvalidCallRule, NotAllowed};
pub use header::NODE_PROTOCOL;
pub use hex::{hex, unhex};
pub use ids::{
    ActId, BRANCH_ID_MAX_LEN, BranchId, Epoch, GID_MAX_LEN, Gid, Incarnation, Instance, InvalidId,
    RowsUnder, SagaName, Seq,
};
pub use job::{JobAct, JobDeed};
pub use op::{CallOp, Op, PerOp, UnknownOp};
pub use operator::{Audited, Operator};
pub use order::Order;
pub use problem::{Problem, ProblemCode};
pub use request::{
    Arrival, AuditPlace, AuditQuery, BeginRequest, BranchRequest, CancelRequest, CheckedBegin,
    CheckedJob, GidPrefix, Invalid, InvalidCursor, InvalidParticipantName, JobRequest,
    KnownEndpoints, Limits, ListOrder, ListPlace, ListQuery, MetadataFilter, Object,
    ParticipantName, PauseRequest, Pointer, ReaddressRequest, Readdressing, RegisterRequest,
    Resolution, ResolveRequest, RunRequest, SagaRequest, StepRequest, Unfit, check_begin,
    check_branch, check_branches, check_cancel, check_job, check_pause, check_places,
    check_readdress, check_resolve, check_run, check_saga, check_shape, input_of, refused_begin,
    saga_content,
};
pub use response::{
    AnswerView, AnswersView, AttemptsView, AuditEntryView, BegunJobView, BookEntry, BranchView,
    BranchesView, EventView, JobFailureView, JobView, LastAnswerView, ListedJobView,
    ListedSagaView, MatchedView, NodeView, Page, ParticipantView, ParticipantsView,
    PausedParticipantView, PausedView, PendingResolutionView, RegisteredView, ReleasedView,
    RestoredView, RetriedView, SagaView, StatsView, StepView, SummaryView, TransactionView,
    UrlsView,
};
pub use retry_after::parse_retry_after;
pub use signature::{
    InvalidSigningKey, Signed, SigningKey, Unverified, call_id, webhook_timestamp,
};
pub use signed_host::{InvalidSignedHost, SignedHost};
pub use spec::{
    BranchOptions, BranchSpec, Fingerprint, SagaVersion, Spec, TransactionOptions, host_port,
    shown_host_port,
};
pub use status::{
    Action, BranchStatus, BreakerState, EventKind, JobAction, JobStage, JobState, Pattern, Reason,
    ResolvedAs, Status, TryBy, UnknownName,
};
pub use steady_wall::{ClockNews, SteadyWall};
pub use text::without_nul;
pub use time::{InvalidTime, Mono, Now, Wall};
pub use trace_id::{InvalidTraceId, TraceId};
pub use verdict::{
    Answer, FailureKind, IN_PROGRESS_PAUSE, RETRY_AFTER_MAX, RETRY_AFTER_MIN, Verdict,
    check_verdict, verdict,
};
