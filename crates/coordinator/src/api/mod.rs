//! The HTTP face: extract, ask the engine, translate.
//!
//! ```text
//!  server (connections, timeouts, stopping)
//!    └─ router (every route, every middleware)
//!         └─ handler: extract ──▶ RuntimeHandle::ask ──▶ answer | problem
//! ```
//!
//! Nothing here knows the rules of a transaction: requests become checked values in
//! `tercet_protocol::wire`, replies become bodies in `answer`, refusals in `problem`.

mod answer;
mod around;
mod begin;
mod body;
mod decide;
mod docs_page;
mod events;
mod gid_path;
mod health;
mod list;
mod openapi;
mod page;
mod params;
mod participants;
mod problem;
mod problems_page;
mod readiness;
mod register;
mod request_metrics;
mod resolve;
mod retry;
mod retry_all;
mod router;
mod server;
mod show;
mod state;
mod stats;
mod wait;
mod who;
mod write_timeout;

pub use readiness::Readiness;
pub use router::router;
pub use server::{ServerSettings, serve};
pub use state::{Api, RequestLimits};

#[cfg(test)]
mod tests;
