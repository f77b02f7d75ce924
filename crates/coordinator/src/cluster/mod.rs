//! This node among others on one database: it looks at their signs of life, gives its own, and
//! takes over what a dead one drove. Where one process has the database to itself there is none
//! of this.
//!
//! ```text
//!   every heartbeat                                       one task a suspect
//!   journal.lives() ──▶ Watching ──▶ NodeWatch ─ suspect ─▶ taking_over: mark ─ find ─ take ─ remove
//!        │                 │                                              │      ▲
//!        │ own row moved   └──▶ Sightings ──▶ /v1/stats, metrics    chunk ▼      │ durable, and few
//!        └──────▶ OwnLease ──▶ dispatcher: no Try          journal.take_over ──▶ shell ──▶ Chunks
//!                 without it
//! ```
//!
//! What is decided is decided in the engine's `cluster`; here are its time, its reads and its
//! tasks. Nothing that goes wrong here makes two owners: that is the fence's to see to.

mod advertise;
mod chunks;
mod forward;
mod news;
mod orphans;
mod own_lease;
mod pass;
mod peers;
mod rests;
mod sightings;
mod taking_over;
mod watching;

pub use advertise::advertised;
pub use chunks::Chunks;
pub use forward::{Forwarder, JOB_ACT, LEFT, LOOK_AGAIN, NotPassed, PAUSED};
pub use news::News;
pub use own_lease::OwnLease;
pub use pass::{ClusterKey, NoPass, Passed};
pub use peers::{NoClient, Peers};
pub use sightings::Sightings;
pub use watching::{ClusterSettings, Life, Watching};

#[cfg(test)]
mod tests;
