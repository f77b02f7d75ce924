//! Tercet's coordinator: the daemon around the engine.
//!
//! One direction: `api` → `runtime` (which owns the engine) → `journal`, `dispatcher`, and back
//! by the runtime's inbox. See ARCHITECTURE.md.

pub mod alerts;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatcher;
pub mod journal;
pub mod metrics;
pub mod node;
pub mod runtime;
pub mod serve;
pub mod signals;
pub mod telemetry;
