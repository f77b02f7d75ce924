//! Messages that are sent exactly when a local SQL transaction commits.
//!
//! ```text
//!   initiator's SQL transaction            relay, in any number of processes
//!     business change                        claim: a few rows that are due, for the time of a lease
//!     insert (gid, request, pending)         begin with the row's gid, for each: safe to repeat
//!     commit                                 mark: sent; later, once asked: confirmed or cancelled
//!
//!   pending ──▶ sent ──▶ confirmed | cancelled
//!      └──────────┴────▶ dead (with the reason; `again` brings it back)
//! ```
//!
//! Nothing of it is exactly once by itself: a relay that dies between hand-over and mark leaves a row whose lease runs out,
//! and the next one begins the same gid again, which the coordinator answers with the transaction as it is.

#[cfg(feature = "sea-orm")]
mod claims;
#[cfg(feature = "sea-orm")]
mod counting;
mod hand_over;
#[cfg(feature = "sea-orm")]
mod purge;
#[cfg(feature = "sea-orm")]
mod relay;
#[cfg(feature = "sea-orm")]
mod round;
#[cfg(feature = "sea-orm")]
mod row;
mod state;
#[cfg(feature = "sea-orm")]
mod store;

#[cfg(feature = "sea-orm")]
pub use purge::OUTBOX_PURGE_AFTER;
#[cfg(feature = "sea-orm")]
pub use relay::{Relay, RelayTask};
pub use state::OutboxState;
#[cfg(feature = "sea-orm")]
pub use store::{NotSent, Outbox, OutboxEntry};

/// The rules that a relay goes by, for one between a coordinator and an outbox of your own making.
pub mod relay_rules {
    pub use super::hand_over::{Attempts, Next, Told, given_back, next, pause_while_away};
    pub use super::state::OutboxState;
}
