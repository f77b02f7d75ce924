//! What travels over HTTP: bodies, header names, problems.

mod begin;
mod branch_headers;
mod check;
mod fingerprint;
pub mod header;
mod invalid;
mod json;
mod limits;
mod list;
mod object;
mod operator;
mod problem;
mod target;
mod traceparent;
mod view;

pub use begin::{BeginRequest, BranchRequest, CancelRequest};
pub use check::{Arrival, CheckedBegin, check_begin, check_branch, check_cancel};
pub use invalid::Invalid;
pub use limits::Limits;
pub use list::{Cursor, InvalidCursor, ListQuery};
pub use object::Object;
pub use operator::{
    NodeView, ParticipantView, ParticipantsView, ResolveRequest, RetriedView, StatsView,
    check_resolve,
};
pub use problem::{Problem, ProblemCode};
pub use view::{
    AnswerView, AttemptsView, BranchView, EventView, Page, SummaryView, TransactionView,
};
