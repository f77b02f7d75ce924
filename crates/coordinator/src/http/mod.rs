//! The HTTP face: extract, ask the engine, translate.
//!
//! ```text
//!  server (connections, timeouts, stopping)
//!    └─ entrance (probes alone, until the node has recovered)
//!        └─ router (every route, every middleware)
//!             └─ handler: extract ──▶ RuntimeHandle::ask ──▶ answer | problem
//! ```
//!
//! Nothing here knows the rules of a transaction: requests become checked values in
//! `tercet_wire`, replies become bodies in `response::body`, refusals in `response::problem`.

mod console;
mod entrance;
mod extract;
mod handlers;
mod middleware;
mod pages;
mod readiness;
mod response;
mod route_table;
mod router;
mod server;
mod state;

pub use console::ConsoleSettings;
pub use entrance::Entrance;
pub use extract::budget::BodyBudget;
pub(crate) use extract::job_filter::job_query;
#[cfg(test)]
pub(crate) use pages::saga_schema::SAGA_SCHEMA;
pub use readiness::Readiness;
pub use router::router;
pub use server::{Admits, Browsers, Port, ServerSettings, is_host, is_origin, serve};
pub use state::{Api, RequestLimits};

#[cfg(test)]
mod tests;
