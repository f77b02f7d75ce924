//! What is asked for: bodies and queries as they come, and the checks that turn them into values.

mod audit;
mod begin;
mod branch_headers;
mod check;
mod check_saga;
mod cursor;
mod fingerprint;
mod invalid;
mod job;
#[cfg(feature = "openapi")]
mod job_filter;
mod json;
mod known_endpoints;
mod limits;
mod list;
mod number;
mod object;
mod pause;
mod pointer;
mod readdress;
mod resolve;
mod saga;
mod target;
mod traceparent;

pub use audit::{AuditPlace, AuditQuery};
pub use begin::{BeginRequest, BranchRequest, CancelRequest, RegisterRequest};
pub use check::{
    Arrival, CheckedBegin, Unfit, check_begin, check_branch, check_branches, check_cancel,
    check_places, check_shape, refused_begin,
};
pub use check_saga::{check_run, check_saga, input_of, saga_content};
pub use cursor::InvalidCursor;
pub use invalid::Invalid;
pub use job::{CheckedJob, JobRequest, check_job};
pub use known_endpoints::KnownEndpoints;
pub use limits::Limits;
pub use list::{GidPrefix, ListOrder, ListPlace, ListQuery, MetadataFilter};
pub use object::Object;
pub use pause::{InvalidParticipantName, ParticipantName, PauseRequest, check_pause};
pub use pointer::Pointer;
pub use readdress::{ReaddressRequest, Readdressing, check_readdress};
pub use resolve::{Resolution, ResolveRequest, check_resolve};
pub use saga::{RunRequest, SagaRequest, StepRequest};
