//! Tercet's coordinator: the daemon around the engine.
//!
//! One direction: `api` → `runtime` (which owns the engine) → `journal`, `dispatcher`, and back
//! by the runtime's inbox. See ARCHITECTURE.md.

pub mod api;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dispatcher;
pub mod journal;
pub mod metrics;
pub mod runtime;
pub mod telemetry;
