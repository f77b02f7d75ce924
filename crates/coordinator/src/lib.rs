//! Tercet's coordinator: the daemon around the engine.
//!
//! One direction: `http` → `runtime` (which owns the engine) → the journal and `dispatcher`, and back
//! by the runtime's inbox. See ARCHITECTURE.md.

pub mod access;
pub mod alerts;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod dispatcher;
mod escape;
pub mod http;
pub mod jobs;
pub mod metrics;
pub mod node;
pub mod open_files;
pub mod outbound;
pub mod pauses;
mod reading_again;
pub mod runtime;
pub mod sagas;
pub mod secret;
pub mod serve;
mod servers;
pub mod signals;
pub mod telemetry;
pub mod tls;
pub mod traces;
pub mod workers;
