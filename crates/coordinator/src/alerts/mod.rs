//! Tells people, by a webhook, what will not get on without them: participants that do not answer,
//! branches that are parked and transactions that were quarantined.
//!
//! ```text
//!      outages, parked, quarantined      one alert per participant and minute
//!  runtime ──────────────────▶ gathering ────────────────────────────────────▶ queue
//!                                                                                │ ▲
//!                                              receiver ◀── POST, signed ── task ┘ │
//!                                                  └── no 2xx: to the queue's end ─┘
//! ```
//!
//! Nobody waits for it: whoever has news leaves it under a lock that is held for a moment, and
//! one task sends. What waits is bounded in number, and the oldest goes first when there is
//! too much. Alerts live in memory alone: after a start people are told anew of what lasts, which
//! covers what a restart has lost.
//!
//! News of a parked branch comes once it is durable that it is parked, as every effect of the
//! engine does. News of a quarantined transaction does not wait for the disk: it says what was
//! seen, and it may be the disk that is at fault.

mod body;
mod delivery;
mod grouping;
mod handle;
mod news;
mod queue;
mod settings;
mod task;

pub use handle::{Alerts, start};
pub use news::{OutageReport, ParkedBranch};
pub use settings::AlertSettings;
