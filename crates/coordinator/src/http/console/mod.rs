//! The console: pages for whoever looks after Tercet, at `/console`.
//!
//! ```text
//!  request ─▶ visit (session, who, may they look) ─▶ screen | form
//!                                                      │  as the caller, in this process
//!                                                      ▼
//!                              ask ─▶ the API's own router ─▶ its handlers ─▶ JSON | problem
//!                                                      │
//!                              template (templates/console) ◀┘
//! ```
//!
//! Nothing is known here but by asking the API, and nothing is done but by it: what a role may not do
//! there it may not do here. Pages work without a script; assets/console.js keeps them up to date where
//! there is one.

mod act;
mod ask;
mod assets;
mod came;
mod commands;
mod error_page;
mod facets;
mod filters;
mod form;
mod gauges;
mod hold;
mod jobs;
mod link;
mod many;
mod moment;
mod needs_you;
mod operations;
mod participants;
mod resolve;
mod routes;
mod session;
mod shell;
mod sign_in;
mod state;
mod timeline;
mod transaction;
mod transactions;
mod trend;
mod visit;
mod words;

pub(super) use routes::{mounted, to_console};
pub use state::ConsoleSettings;
pub(super) use state::{Console, Offers};
