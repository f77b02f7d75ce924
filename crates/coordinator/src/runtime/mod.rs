//! The tokio shell around the engine's driver: it moves messages and decides nothing.
//!
//! ```text
//!  begins ──────┐                               ┌─▶ journal.append, journal.load
//!  requests ────┤                               │
//!  control ─────┼─▶ shell ─▶ driver.next, step ─┼─▶ dispatcher.send
//!  answers ─────┤                               │
//!  journal ─────┘                               └─▶ replies
//! ```
//!
//! Every lane is bounded. An answer's place in its lane is reserved when its call is sent,
//! so a participant's answer never waits for room, and nothing waits for an answer's.

mod beat;
mod counting;
mod handle;
mod outages;
mod parking;
mod recovery;
mod refusals;
mod replies;
mod shell;

pub use beat::Beat;
pub use handle::{Asked, Control, HungUp, Lanes, RuntimeHandle, Waits, lanes};
pub use recovery::{RecoveryError, recover};
pub use refusals::{Cause, Refusals};
pub use shell::{Ports, Shell};
pub use tercet_engine::{Ended, for_what_is_in_flight};
