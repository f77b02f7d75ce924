//! What travels over HTTP, as API.md says: bodies, header names, problems.

mod begin;
pub mod header;
mod list;
mod problem;
mod view;

pub use begin::{BeginRequest, BranchRequest, CancelRequest};
pub use list::{Cursor, InvalidCursor, ListQuery};
pub use problem::{Problem, ProblemCode};
pub use view::{
    AnswerView, AttemptsView, BranchView, EventView, Page, SummaryView, TransactionView,
};
